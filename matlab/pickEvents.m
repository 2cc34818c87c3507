function events = pickEvents(events, which)
  % PICKEVENTS takes some of many events.
  %
  %   events = pickEvents(events, which)
  %
  % Inputs
  %   events  struct of columns, an element per event
  %   which   numbers, in any order, or a logical column
  %
  % Output
  %   events  those
  %
  % Example: the events that rise.
  %   events = readEvents('events.npy', 'amplitudes.npy');
  %   rises = pickEvents(events, events.polarity == 1);

  for name = fieldnames(events)'
    column = events.(name{1});
    % What is picked of a single one would not be a column.
    events.(name{1}) = reshape(column(which), [], 1);
  end
end
