function findRisingEdges(aggregateFile, edgesFile, level, varargin)
  % FINDRISINGEDGES finds where a channel rises through its level (threshold crossings).
  %
  %   findRisingEdges(aggregateFile, edgesFile, level)
  %   findRisingEdges(aggregateFile, edgesFile, level, name, value, ...)
  %
  % Inputs
  %   aggregateFile  char row, an aggregate.json: what the samples are, and where they lie
  %   edgesFile      char row, made anew: NumPy file (.npy) of int64, one row (sample, channel) per
  %                  edge, both 0-based, sorted by sample, then channel; readEdges.m reads it
  %   level          raw counts, one number or one per channel that is looked at (all that are not
  %                  digital); [] where an option says where the level is
  %
  % Options
  %   those of findEvents.m, which then finds the edges
  %
  % An edge is a sample at or above the level whose predecessor is below it. The first sample of
  % a segment, before which samples are missing, has no predecessor. NaN is neither at or above a
  % level nor below it.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, findRisingEdges:cannotWrite, closeFile:incomplete
  %
  % Example: the samples 0 5 9 0 9 of one channel have edges at the 0-based samples 1 and 4
  % through level 5.
  %   findRisingEdges('aggregate.json', 'edges.npy', 5);

  if ~isempty(varargin)
    if ~isempty(level)
      varargin = [{'level', level}, varargin];
    end
    findEvents(aggregateFile, edgesFile, '', '', varargin{:});
    return
  end
  % The same without options, in less than half the time.
  aggregate = readAggregate(aggregateFile);
  segments = aggregate.segments;
  chosen = find(~strcmp(aggregate.kinds, 'digital'));
  if isscalar(level)
    level = repmat(level, numel(chosen), 1);
  end
  level = double(level(:));
  output = openFile(edgesFile, 'w+');
  closingOutput = onCleanup(@() closeFile(output));
  writeHeader(output, edgesFile, 0);

  wasBelow = false(numel(chosen), 1);  % of the sample before the block
  edges = 0;
  for first = 0:aggregate.blockSamples:aggregate.samples - 1
    block = readBlock(aggregate, first);
    if numel(chosen) < aggregate.channels
      block = block(chosen, :);
    end
    samples = size(block, 2);
    isBelow = block < level;
    follows = [wasBelow, isBelow(:, 1:end - 1)];
    follows(:, segments(segments >= first & segments < first + samples) - first + 1) = false;
    [channel, sample] = find((block >= level) & follows);
    if ~isempty(channel)
      rows = int64([sample(:)' - 1 + first; reshape(chosen(channel), 1, []) - 1]);
      if fwrite(output, rows, 'int64', 0, 'ieee-le') ~= numel(rows)
        error('findRisingEdges:cannotWrite', '%s', ...
              ['cannot write to ' edgesFile '; is the disk full?']);
      end
      edges = edges + numel(channel);
    end
    wasBelow = isBelow(:, end);
  end
  % The number of edges is known only now.
  writeHeader(output, edgesFile, edges);
  closeFile(output, edgesFile, 128 + 16 * edges);
end

function writeHeader(fid, name, edges)
  % Version 1.0 of the NumPy format, 128 bytes whatever the number of edges.
  text = sprintf('{''descr'': ''<i8'', ''fortran_order'': False, ''shape'': (%.0f, 2), }', edges);
  padding = repmat(' ', 1, 117 - numel(text));
  header = [uint8(147), uint8(['NUMPY', char([1, 0, 118, 0]), text, padding, char(10)])];
  fseek(fid, 0, 'bof');
  if fwrite(fid, header, 'uint8') ~= 128
    error('findRisingEdges:cannotWrite', '%s', ['cannot write to ' name '; is the disk full?']);
  end
  fseek(fid, 0, 'eof');
end
