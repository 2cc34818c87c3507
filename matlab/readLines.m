function [samples, channels, bits, values] = readLines(linesFile)
  % READLINES reads changes of digital lines, samples and channels counted from 1 as Matlab counts.
  %
  %   [samples, channels, bits, values] = readLines(linesFile)
  %
  % Input
  %   linesFile  char row, a NumPy file of int64, rows of 0-based (sample, channel, bit, value), as
  %              findLines writes it
  %
  % Outputs
  %   samples    changes x 1 double, 1-based sample of each change
  %   channels   changes x 1 double, 1-based channel; 0 for a change that is in no channel, but was
  %              written as an event (TTL)
  %   bits       changes x 1 double, the bit, 0 the lowest; of a field its first one
  %   values     changes x 1 double, 1 for a rise and 0 for a fall; of a field the new value
  %
  % Errors: openFile:cannotOpen, readLines:badFormat
  %
  % Example: the samples at which bit 0 rises.
  %   [samples, channels, bits, values] = readLines('lines.npy');
  %   rises = samples(bits == 0 & values == 1);

  fid = openFile(linesFile, 'r');
  closing = onCleanup(@() closeFile(fid));
  header = fread(fid, 128, '*uint8')';
  text = char(header(11:end));
  shape = regexp(text, '''fortran_order'': False, ''shape'': \((\d+), 4\)', 'tokens', 'once');
  magic = [uint8(147), uint8('NUMPY'), uint8([1, 0, 118, 0])];
  if isempty(shape) || ~isequal(header(1:10), magic) || isempty(strfind(text, '<i8'))
    error('readLines:badFormat', '%s', [linesFile ' is not a file of lines (.npy, int64, n x 4)']);
  end
  changes = str2double(shape{1});
  [rows, numbers] = fread(fid, [4, changes], 'int64=>double');
  if numbers ~= 4 * changes
    error('readLines:badFormat', '%s', [linesFile ' is cut short']);
  end
  rows = reshape(rows, 4, changes);  % without changes, fread gives 0 x 0
  samples = rows(1, :)' + 1;
  channels = rows(2, :)' + 1;
  bits = rows(3, :)';
  values = rows(4, :)';
end
