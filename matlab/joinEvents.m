function events = joinEvents(events, others)
  % JOINEVENTS puts events behind others.
  %
  %   events = joinEvents(events, others)
  %
  % Inputs
  %   events  struct of columns, an element per event
  %   others  likewise, with the same fields
  %
  % Output
  %   events  all of them
  %
  % Example: twice as many.
  %   events = readEvents('events.npy', 'amplitudes.npy');
  %   events = joinEvents(events, events);

  for name = fieldnames(events)'
    events.(name{1}) = [events.(name{1}); others.(name{1})];
  end
end
