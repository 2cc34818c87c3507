function block = readBlock(aggregate, first, last)
  % READBLOCK reads samples of an aggregate, in whatever files they lie.
  %
  %   block = readBlock(aggregate, first)
  %   block = readBlock(aggregate, first, last)
  %
  % Inputs
  %   aggregate  struct, as of readAggregate
  %   first      0-based number of the first sample
  %   last       0-based number of the sample after the last one (default: so many samples as fit
  %              a block of 2^18 values; at the end those that are left)
  %
  % Output
  %   block      channels x samples double; no samples at the end
  %
  % Files are open during the call alone.
  %
  % Errors: openFile:cannotOpen, readBlock:tooShort
  %
  % Example: all samples, a block at a time.
  %   aggregate = readAggregate('aggregate.json');
  %   for first = 0:aggregate.blockSamples:aggregate.samples - 1
  %     block = readBlock(aggregate, first);
  %   end

  if nargin < 3
    last = first + aggregate.blockSamples;
  end
  last = min(last, aggregate.samples);
  k = find([aggregate.parts.firstSample] <= first, 1, 'last');
  pieces = {};
  while first < last
    part = aggregate.parts(k);
    skipped = first - part.firstSample;
    samples = min(part.samples - skipped, last - first);
    pieces{end + 1} = readPart(aggregate, part, skipped, samples);
    first = first + samples;
    k = k + 1;
  end
  block = reshape(double([pieces{:}]), aggregate.channels, []);
end

function piece = readPart(aggregate, part, skipped, samples)
  fid = openFile(part.file, 'r');
  closing = onCleanup(@() closeFile(fid));
  fseek(fid, part.offset + skipped * aggregate.sampleBytes, 'bof');
  [piece, values] = fread(fid, [aggregate.channels, samples], ['*' aggregate.dtype]);
  if values < aggregate.channels * samples
    error('readBlock:tooShort', '%s', ...
          [part.file ' ends before the samples that ' aggregate.file ...
           ' names; if it was changed, make Aggregate again']);
  end
end
