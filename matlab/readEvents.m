function events = readEvents(eventsFile, amplitudesFile)
  % READEVENTS reads the events that findEvents wrote, counted from 1 as Matlab counts.
  %
  %   events = readEvents(eventsFile)
  %   events = readEvents(eventsFile, amplitudesFile)
  %
  % Inputs
  %   eventsFile      char row, a NumPy file of int64, rows of 0-based (sample, channel, end, peak,
  %                   polarity) or of (sample, channel)
  %   amplitudesFile  char row, a NumPy file of float64, a number per event
  %
  % Output
  %   events          struct of columns, an element per event: sample and channel, both 1-based;
  %                   where the file has them, last (the last sample of the event), peak and
  %                   polarity (1 rises, -1 falls); with amplitudesFile, amplitude in counts
  %
  % Errors: openFile:cannotOpen, readEvents:badFormat
  %
  % Example: the values at the onsets in a recording of one channel x are x(events.sample).
  %   events = readEvents('events.npy', 'amplitudes.npy');

  [rows, columns] = readArray(eventsFile, '<i8', 'int64');
  if ~any(columns == [2, 5])
    error('readEvents:badFormat', '%s', ...
          [eventsFile ' is not a file of events (.npy, int64, n x 5 or n x 2)']);
  end
  events.sample = rows(1, :)' + 1;
  events.channel = rows(2, :)' + 1;
  if columns == 5
    events.last = rows(3, :)';  % 0-based and exclusive: the same number
    events.peak = rows(4, :)' + 1;
    events.polarity = rows(5, :)';
  end
  if nargin > 1
    [amplitudes, columns] = readArray(amplitudesFile, '<f8', 'double');
    if columns ~= 1 || numel(amplitudes) ~= numel(events.sample)
      error('readEvents:badFormat', '%s', ...
            [amplitudesFile ' is not the file of amplitudes of ' eventsFile]);
    end
    events.amplitude = amplitudes(:);
  end
end

function [values, columns] = readArray(name, kind, class_)
  % Returns the values of an array, columns x rows.
  fid = openFile(name, 'r');
  closing = onCleanup(@() closeFile(fid));
  header = fread(fid, 128, '*uint8')';
  text = char(header(11:end));
  pattern = '''fortran_order'': False, ''shape'': \((\d+),( \d+)?\)';
  shape = regexp(text, pattern, 'tokens', 'once');
  magic = [uint8(147), uint8('NUMPY'), uint8([1, 0, 118, 0])];
  if isempty(shape) || ~isequal(header(1:10), magic) || isempty(strfind(text, kind))
    error('readEvents:badFormat', '%s', [name ' is not a file of events or amplitudes (.npy)']);
  end
  shape = str2double(shape);
  columns = max([1, shape(2:end)]);  % without a second number, which is NaN, one
  [values, count] = fread(fid, [columns, shape(1)], [class_ '=>double']);
  if count ~= columns * shape(1)
    error('readEvents:badFormat', '%s', [name ' is cut short']);
  end
  values = reshape(values, columns, shape(1));
end
