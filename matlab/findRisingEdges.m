function findRisingEdges(dataFile, edgesFile, dtype, channels, level, segments)
  % FINDRISINGEDGES finds where a channel rises through its level (threshold crossings).
  %
  %   findRisingEdges(dataFile, edgesFile, dtype, channels, level)
  %   findRisingEdges(dataFile, edgesFile, dtype, channels, level, segments)
  %
  % Inputs
  %   dataFile   char row, raw little-endian samples, channels interleaved
  %   edgesFile  char row, made anew: NumPy file (.npy) of int64, one row (sample, channel) per
  %              edge, both 0-based, sorted by sample, then channel; readEdges.m reads it
  %   dtype      'uint8', 'int8', 'uint16', 'int16', 'int32', 'float32' or 'float64'
  %   channels   number of channels
  %   level      raw counts, one number or one per channel
  %   segments   0-based samples at which a stretch without a gap begins (default 0)
  %
  % An edge is a sample at or above the level whose predecessor is below it. The first sample of
  % a segment has no predecessor. NaN is neither at or above a level nor below it.
  %
  % Errors: openFile:cannotOpen, readBlock:partialSample, findRisingEdges:cannotWrite,
  %   closeFile:incomplete
  %
  % Example: the uint8 file 0 5 9 0 9 has edges at the 0-based samples 1 and 4 through level 5.
  %   findRisingEdges('aggregate.bin', 'edges.npy', 'uint8', 1, 5);

  if nargin < 6
    segments = 0;
  end
  if isscalar(level)
    level = repmat(level, channels, 1);
  end
  level = double(level(:));
  input = openFile(dataFile, 'r');
  closing = onCleanup(@() closeFile(input));
  output = openFile(edgesFile, 'w+');
  closingOutput = onCleanup(@() closeFile(output));
  writeHeader(output, edgesFile, 0);

  wasBelow = false(channels, 1);  % of the sample before the block
  first = 0;                      % 0-based number of the first sample of the block
  edges = 0;
  while true
    block = readBlock(input, dataFile, dtype, channels);
    if isempty(block)
      break
    end
    samples = size(block, 2);
    isBelow = block < level;
    follows = [wasBelow, isBelow(:, 1:end - 1)];
    follows(:, segments(segments >= first & segments < first + samples) - first + 1) = false;
    [channel, sample] = find((block >= level) & follows);
    if ~isempty(channel)
      rows = int64([sample(:)' - 1 + first; channel(:)' - 1]);
      if fwrite(output, rows, 'int64', 0, 'ieee-le') ~= numel(rows)
        error('findRisingEdges:cannotWrite', '%s', ...
              ['cannot write to ' edgesFile '; is the disk full?']);
      end
      edges = edges + numel(channel);
    end
    wasBelow = isBelow(:, end);
    first = first + samples;
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
