function findEvents(aggregateFile, eventsFile, amplitudesFile, summaryFile, varargin)
  % FINDEVENTS finds where channels cross a level: spikes, beats, pulses (threshold crossings).
  %
  %   findEvents(aggregateFile, eventsFile, amplitudesFile, summaryFile, name, value, ...)
  %
  % Inputs
  %   aggregateFile   char row, an aggregate.json: what the samples are, and where they lie
  %   eventsFile      char row, made anew: NumPy file (.npy) of int64, a row per event, all numbers
  %                   0-based: sample, channel, end (the sample after the last), peak, polarity (1
  %                   rises, -1 falls); sorted by sample, then channel; readEvents.m reads it
  %   amplitudesFile  char row, made anew: .npy of float64, the value at each peak, filtered, in
  %                   counts; '' for none, and a row of eventsFile is then (sample, channel)
  %   summaryFile     char row, made anew: JSON of what was found in each channel; '' for none
  %
  % Options
  %   low, high       Hz, the corners of a band-pass; one alone is a high-pass or low-pass
  %   reference       'none' (default); 'median': that of the channels is taken off each; or one
  %                   number per channel: 0 none, 1, 2, ... the group whose median is taken off
  %   polarity        'rising' (default), 'falling', or 'absolute': the size of a sample counts
  %   level           counts, one number or one per channel; or
  %   noise           likewise, in multiples of the noise (noiseLevel.m), below 0 for falling; or
  %   threshold       likewise, 0 to 1 (default 0.75) of the way from the minimum, or after a
  %                   band-pass from 0, to its maximum; for falling from the maximum down
  %   hysteresis      counts (default 0): so far from the level is a channel armed again
  %   release         0 to 1: the same, as a part of the way from 0, minimum or maximum
  %   settle          samples in a row (default 1) at or beyond the level; likewise at the release
  %   width           ms: only events that last so long, within widthTolerance (default 0.2) of it
  %   refractory      ms: an event sooner after the last one that counts is none
  %   peakWithin      ms from the onset in which the peak is (default: to the end of the event)
  %   peakPastEnd     true: also where that is after the end of the event
  %   ends            true: each release is an event of its own, of the other polarity
  %   channels        1-based (default: all that are not digital)
  %   noiseFrom       'auto' (default) or 'all', as in noiseLevel.m
  %   precision       'double' (default) or 'single', that of the filter
  %   blockSamples    samples to read at once; what is found does not depend on it
  %
  % An event begins at the first sample at or beyond the level after the channel was armed, and ends
  % at the first one at the release. A channel is armed from its first sample on only if that is on
  % the near side of the level. Nothing crosses a seam, nor NaN: what is open there ends there.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, eventOptions:unknownOption, eventOptions:conflict,
  %   eventOptions:badValue, eventOptions:unknownRate, planFilter:unknownRate, bandPass:badBand,
  %   findEvents:cannotWrite, closeFile:incomplete
  %
  % Example: the samples 0 5 9 0 9 of one channel have events at the 0-based samples 1 and 4 through
  % level 5.
  %   findEvents('aggregate.json', 'events.npy', 'amplitudes.npy', '', 'level', 5);

  aggregate = readAggregate(aggregateFile);
  options = eventOptions(aggregate, varargin);
  plan = planFilter(aggregate, options.channels, options.low, options.high, options.labels, ...
                    options.precision);
  if ~isempty(options.blockSamples)
    plan.blockSamples = options.blockSamples;
  end
  store = openStore(eventsFile, amplitudesFile, plan.channels);
  closing = onCleanup(@() closeStore(store));
  levels = eventLevels(plan, options);
  tracker = options;
  tracker.level = levels.level;
  tracker.release = levels.release;
  tracker.rejected = struct('width', 0, 'refractory', 0);
  tracker.nextId = 0;
  blocks = planBlocks(plan, plan.stretches);
  samples = max(1, floor(2^18 / numel(plan.channels)));
  for k = 1:size(blocks, 1)
    block = readFiltered(plan, blocks(k, 1), blocks(k, 2));
    % Where half of all samples are events, they take much more memory than the samples.
    for first = blocks(k, 1):samples:blocks(k, 2) - 1
      last = min(first + samples, blocks(k, 2));
      piece = block(first - blocks(k, 1) + 1:last - blocks(k, 1), :);
      place = [any(plan.stretches(:, 1) == first), any(plan.stretches(:, 2) == last)];
      [tracker, found, finished] = trackCrossings(tracker, piece, first, place);
      store = addEvents(store, found, finished, tracker.waitsFrom);
    end
  end
  finishStore(store);
  if ~isempty(summaryFile)
    writeEventSummary(summaryFile, plan, levels, tracker, store, varargin);
  end
end

function store = openStore(eventsFile, amplitudesFile, channels)
  store.channels = channels(:);
  store.count = zeros(numel(channels), 1);
  store.columns = 5 - 3 * isempty(amplitudesFile);
  store.rows = 0;
  store.open = zeros(0, 1);     % rows of events that were open where a stretch ends
  store.held = [];              % events that are not written yet
  store.writtenId = zeros(0, 1);  % events that are written, and not finished
  store.writtenRow = zeros(0, 1);
  store.names = {eventsFile, amplitudesFile};
  store.files = [openFile(eventsFile, 'w+'), -1];
  if store.columns == 5
    try
      store.files(2) = openFile(amplitudesFile, 'w+');
    catch e
      closeFile(store.files(1));
      rethrow(e);
    end
  end
end

function closeStore(store)
  closeFile(store.files(1));
  closeFile(store.files(2));
end

function store = addEvents(store, found, finished, waitsFrom)
  store = patchWritten(store, finished);
  if isempty(store.held)
    store.held = found;
  else
    store.held = joinEvents(updated(store.held, finished), found);
  end
  % An event whose width is not known yet may come before.
  isDue = store.held.onset < waitsFrom;
  due = pickEvents(store.held, find(isDue));
  store.held = pickEvents(store.held, find(~isDue));
  channel = store.channels(due.channel);
  [~, order] = sortrows([due.onset, reshape(channel, [], 1)]);
  due = pickEvents(due, order);
  n = numel(due.id);
  rows = eventRows(store, due);
  append(store, 1, int64(rows(1:store.columns, :)), 'int64');
  append(store, 2, due.amplitude, 'double');
  isLeft = ~due.isFinished;
  row = store.rows + (0:n - 1)';
  store.writtenId = [store.writtenId; due.id(find(isLeft))];
  store.writtenRow = [store.writtenRow; row(find(isLeft))];
  store.open = [store.open; row(find(due.isFinished & due.isOpen))];
  store.count = store.count + accumarray(due.channel, 1, size(store.count));
  store.rows = store.rows + n;
end

function rows = eventRows(store, events)
  channel = reshape(store.channels(events.channel), [], 1) - 1;
  rows = [events.onset, channel, events.stop, events.peak, events.polarity]';
end

function held = updated(held, finished)
  [isHeld, where] = ismember(finished.id, held.id);
  where = where(isHeld);
  for name = fieldnames(held)'
    column = held.(name{1});
    values = finished.(name{1});
    column(where) = values(isHeld);
    held.(name{1}) = column;
  end
end

function store = patchWritten(store, finished)
  % Writes what was not known yet when an event was written.
  [isWritten, where] = ismember(finished.id, store.writtenId);
  finished = pickEvents(finished, find(isWritten));
  where = where(isWritten);
  row = reshape(store.writtenRow(where), [], 1);
  store.open = [store.open; row(find(finished.isOpen))];
  store.writtenId(where) = [];
  store.writtenRow(where) = [];
  if store.columns == 2
    return
  end
  rows = int64(eventRows(store, finished));
  for k = 1:numel(row)
    fseek(store.files(1), 128 + 40 * row(k) + 16, 'bof');
    write(store, 1, rows(3:4, k), 'int64');
    fseek(store.files(2), 128 + 8 * row(k), 'bof');
    write(store, 2, finished.amplitude(k), 'double');
  end
end

function append(store, number, values, kind)
  if number == 1 || store.columns == 5
    if store.rows == 0
      writeHeader(store, number);
    end
    fseek(store.files(number), 0, 'eof');
    write(store, number, values, kind);
  end
end

function writeHeader(store, number)
  % Version 1.0 of the NumPy format, 128 bytes whatever the number of events.
  kinds = {'i8', 'f8'};
  shapes = {sprintf('%.0f, %d', store.rows, store.columns), sprintf('%.0f,', store.rows)};
  text = ['{''descr'': ''<' kinds{number} ''', ''fortran_order'': False, ''shape'': (' ...
          shapes{number} '), }'];
  padding = repmat(' ', 1, 117 - numel(text));
  fseek(store.files(number), 0, 'bof');
  write(store, number, [uint8(147), uint8(['NUMPY', char([1, 0, 118, 0]), text, padding, ...
                                           char(10)])], 'uint8');
end

function write(store, number, values, kind)
  if fwrite(store.files(number), values, kind, 0, 'ieee-le') ~= numel(values)
    error('findEvents:cannotWrite', '%s', ...
          ['cannot write to ' store.names{number} '; is the disk full?']);
  end
end

function finishStore(store)
  % The number of events is known only now.
  writeHeader(store, 1);
  closeFile(store.files(1), store.names{1}, 128 + 8 * store.columns * store.rows);
  if store.columns == 5
    writeHeader(store, 2);
    closeFile(store.files(2), store.names{2}, 128 + 8 * store.rows);
  end
end
