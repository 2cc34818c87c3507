function cutSnippets(aggregateFile, eventsFile, snippetsFile, summaryFile, varargin)
  % CUTSNIPPETS cuts the signal around the peaks of events, on their channel and its neighbours.
  %
  %   cutSnippets(aggregateFile, eventsFile, snippetsFile, summaryFile)
  %   cutSnippets(aggregateFile, eventsFile, snippetsFile, summaryFile, name, value, ...)
  %
  % Inputs
  %   aggregateFile  char row, an aggregate.json: what the samples are, and where they lie
  %   eventsFile     char row, what findEvents wrote of it; without peaks, the onsets are taken
  %   snippetsFile   char row, made anew: NumPy file (.npy) of float32, a row of samples for each
  %                  channel of a snippet, in the order of channel of the event, snippet, and
  %                  channel, the event's own first
  %   summaryFile    char row, made anew: JSON. rows is a list of the channels that have snippets:
  %                  channel, neighbours (itself first), first (its first row), all 0-based, count
  %                  of its snippets, left_out; left_out of all channels, before_samples,
  %                  after_samples, sampling_rate_hz, raw, parameters
  %
  % Options ([] is the default)
  %   before, after  ms before the peak (default 1), and from the peak on (default 2)
  %   most           snippets of a channel (default 100), spread evenly over its events
  %   within         um (default 100): the neighbours of a channel of known position
  %   beside         neighbours on either side (default 4) of any other
  %   raw            true: of the samples as they are
  %   low, high, reference, channels, precision   the signal, as in findEvents
  %
  % Of n events, more than `most`, those are taken whose number, from 0 on, is
  % k * (n - 1) / (most - 1), rounded half up, for k from 0 to most - 1. Events too near an end of a
  % stretch without a seam are left out before. Events of channels that are not among `channels` are
  % none.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, signalOptions:unknownOption, eventOptions:badValue,
  %   bandPass:badBand, cutSnippets:badValue, cutSnippets:unknownRate,
  %   cutSnippets:badFormat, cutSnippets:otherChannels, cutSnippets:cannotWrite,
  %   closeFile:incomplete
  %
  % Example: the samples before and at each peak of channel 1.
  %   cutSnippets('aggregate.json', 'events.npy', 'snippets.npy', 'snippets.json', ...
  %               'channels', 1, 'before', 1, 'after', 1);

  aggregate = readAggregate(aggregateFile);
  own = struct('before', 1, 'after', 2, 'most', 100, 'within', 100, 'beside', 4, 'raw', false);
  [options, own] = signalOptions(aggregate, varargin, own);
  checkOwn(aggregate, own);
  plan = planShort(aggregate, options, own.raw);
  window = [inSamples(own.before, aggregate), inSamples(own.after, aggregate)];
  near = channelNeighbours(aggregate, plan.channels, own.within, own.beside);
  [counts, leftOut, taken] = chooseEvents(eventsFile, plan, window, own.most);
  [listed, firstRows, rows] = listRows(plan, near, min(counts, own.most), leftOut);
  writeSnippets(snippetsFile, plan, taken, window, near, firstRows, rows);
  parameters = struct();
  for k = 1:2:numel(varargin)
    parameters.(varargin{k}) = varargin{k + 1};
  end
  summary = struct('rows', {listed}, 'left_out', sum(leftOut), 'before_samples', window(1), ...
                   'after_samples', window(2), 'sampling_rate_hz', aggregate.samplingRateHz, ...
                   'raw', logical(own.raw), 'parameters', parameters);
  text = [jsonText(summary) char(10)];
  output = openFile(summaryFile, 'w');
  closing = onCleanup(@() closeFile(output));
  fwrite(output, uint8(text), 'uint8');
  closeFile(output, summaryFile, numel(text));
end

function checkOwn(aggregate, own)
  least = struct('before', 0, 'after', 0, 'most', 1, 'within', 0, 'beside', 0);
  for name = fieldnames(least)'
    value = own.(name{1});
    isWhole = ~any(strcmp(name{1}, {'most', 'beside'})) || isequal(value, floor(value));
    if ~isnumeric(value) || ~isscalar(value) || ~isfinite(value) || ~isWhole || ...
        value < least.(name{1})
      error('cutSnippets:badValue', '%s', ...
            [name{1} ' must be a number from ' sprintf('%d', least.(name{1})) ' on']);
    end
  end
  if own.after == 0
    error('cutSnippets:badValue', '%s', ...
          'after is 0 ms: a snippet begins before its peak, and has that at least');
  end
  if isnan(aggregate.samplingRateHz)
    error('cutSnippets:unknownRate', '%s', ...
          ['before and after are in ms, and ' aggregate.file ' does not say the sampling rate']);
  end
end

function samples = inSamples(duration, aggregate)
  samples = floor(duration * aggregate.samplingRateHz / 1000 + 0.5);
  if duration > 0
    samples = max(1, samples);
  end
end

function plan = planShort(aggregate, options, isRaw)
  % Plans a filter in short hops: for a few samples here and there they take less time.
  if isRaw
    options.low = [];
    options.high = [];
    options.labels = 0;
  end
  plan = planFilter(aggregate, options.channels, options.low, options.high, options.labels, ...
                    options.precision);
  plan.hop = 512;
  plan.hopsAtOnce = 1;
  if ~isempty(plan.taps)
    plan.fftLength = max(512, 2^nextpow2(2 * numel(plan.taps)));
    plan.hop = plan.fftLength - numel(plan.taps) + 1;
    plan.spectrum = fft(cast(plan.taps, plan.precision), plan.fftLength);
    plan.channelsAtOnce = max(1, floor(2^18 / plan.fftLength));
  end
end

function [counts, leftOut, taken] = chooseEvents(name, plan, window, most)
  % Returns per channel how many events can be cut out and how many not, and which of them are.
  events = openEvents(name, plan);
  closing = onCleanup(@() closeFile(events.file));
  [counts, leftOut] = countEvents(events, plan, window);
  taken = takeEvents(events, plan, window, counts, most);
end

function events = openEvents(name, plan)
  events.name = name;
  events.file = openFile(name, 'r');
  events.places = zeros(plan.aggregate.channels, 1);
  events.places(plan.channels) = 1:numel(plan.channels);
  header = fread(events.file, 128, '*uint8')';
  text = char(header(11:end));
  pattern = '''<i8''.*''fortran_order'': False, ''shape'': \((\d+), ([25])\)';
  shape = regexp(text, pattern, 'tokens', 'once');
  magic = [uint8(147), uint8('NUMPY'), uint8([1, 0, 118, 0])];
  if isempty(shape) || ~isequal(header(1:10), magic)
    closeFile(events.file);
    error('cutSnippets:badFormat', '%s', ...
          [name ' is not a file of events (.npy, int64, n x 5 or n x 2)']);
  end
  events.rows = str2double(shape{1});
  events.columns = str2double(shape{2});
  events.blockRows = 2^16;
end

function [places, firsts, isWhole] = readSome(events, plan, window, first)
  % Reads events from row `first` on: the places of their channels in the plan, the first samples of
  % their snippets, and whether these are in one stretch.
  count = min(events.blockRows, events.rows - first);
  fseek(events.file, 128 + 8 * events.columns * first, 'bof');
  [rows, values] = fread(events.file, [events.columns, count], 'int64=>double');
  if values < events.columns * count
    error('cutSnippets:badFormat', '%s', [events.name ' is cut short']);
  end
  if any(rows(2, :) < 0 | rows(2, :) >= numel(events.places))
    error('cutSnippets:otherChannels', '%s', ...
          [events.name ' has events of channels that ' plan.aggregate.file ' does not have']);
  end
  places = reshape(events.places(rows(2, :) + 1), [], 1);
  peaks = rows(1 + 3 * (events.columns == 5), :)';
  isChosen = places > 0;
  places = places(isChosen);
  peaks = peaks(isChosen);
  firsts = peaks - window(1);
  stretch = stretchOf(plan, peaks);
  isWhole = stretch > 0;
  stretch(~isWhole) = 1;
  isWhole = isWhole & firsts >= plan.stretches(stretch, 1) & ...
    peaks + window(2) <= plan.stretches(stretch, 2);
end

function stretch = stretchOf(plan, samples)
  % Returns the row of plan.stretches that each sample is in, 0 before the first.
  [~, order] = sort([plan.stretches(:, 1); samples]);
  isStretch = order <= size(plan.stretches, 1);
  passed = cumsum(isStretch);
  stretch = zeros(numel(samples), 1);
  stretch(order(~isStretch) - size(plan.stretches, 1)) = passed(~isStretch);
end

function [counts, leftOut] = countEvents(events, plan, window)
  counts = zeros(numel(plan.channels), 1);
  leftOut = counts;
  for first = 0:events.blockRows:events.rows - 1
    [places, ~, isWhole] = readSome(events, plan, window, first);
    counts = counts + accumarray(places(isWhole), 1, size(counts));
    leftOut = leftOut + accumarray(places(~isWhole), 1, size(counts));
  end
end

function taken = takeEvents(events, plan, window, counts, most)
  % Returns first sample, place of the channel and 0-based number of each snippet, as rows in the
  % order of the samples.
  seen = zeros(size(counts));
  taken = {zeros(0, 3)};
  for first = 0:events.blockRows:events.rows - 1
    [places, firsts, isWhole] = readSome(events, plan, window, first);
    places = places(isWhole);
    firsts = firsts(isWhole);
    % The number of each event among those of its channel.
    [sorted, order] = sort(places);
    ofBlock = accumarray(places, 1, size(counts));
    begins = cumsum(ofBlock) - ofBlock;
    number = zeros(size(places));
    number(order) = (0:numel(order) - 1)' - begins(sorted) + seen(sorted);
    seen = seen + ofBlock;
    n = counts(places);
    nearest = floor(number * (most - 1) ./ max(n - 1, 1) + 0.5);
    isTaken = n <= most | floor(nearest .* (n - 1) / max(most - 1, 1) + 0.5) == number;
    number(n > most) = nearest(n > most);
    taken{end + 1} = [firsts(isTaken), places(isTaken), number(isTaken)];
  end
  taken = sortrows(cat(1, taken{:}));
end

function [listed, firstRows, rows] = listRows(plan, near, counts, leftOut)
  listed = {};
  firstRows = zeros(numel(near), 1);
  rows = 0;
  [~, order] = sort(plan.channels);
  for place = order
    firstRows(place) = rows;
    if counts(place)
      channels = plan.channels(near{place}) - 1;
      listed{end + 1} = struct('channel', channels(1), 'neighbours', {num2cell(channels)}, ...
                               'first', rows, 'count', counts(place), ...
                               'left_out', leftOut(place));
    end
    rows = rows + counts(place) * numel(near{place});
  end
end

function writeSnippets(name, plan, taken, window, near, firstRows, rows)
  samples = sum(window);
  output = openFile(name, 'w+');
  closing = onCleanup(@() closeFile(output));
  % Version 1.0 of the NumPy format; then zeros, as no place beyond the end can be written to.
  text = sprintf('{''descr'': ''<f4'', ''fortran_order'': False, ''shape'': (%.0f, %d), }', ...
                 rows, samples);
  padding = repmat(' ', 1, 117 - numel(text));
  header = [uint8(147), uint8(['NUMPY', char([1, 0, 118, 0]), text, padding, char(10)])];
  write(output, name, header, 'uint8');
  for values = [repmat(2^20, 1, floor(rows * samples / 2^20)), mod(rows * samples, 2^20)]
    write(output, name, zeros(values, 1, 'single'), 'single');
  end
  cutTaken(output, name, plan, taken, samples, near, firstRows);
  closeFile(output, name, 128 + 4 * samples * rows);
end

function cutTaken(output, name, plan, taken, samples, near, firstRows)
  last = 0;
  while last < size(taken, 1)
    first = last + 1;
    last = lastOfRun(plan, taken(:, 1), samples, first);
    origin = taken(first, 1);
    block = readFiltered(plan, origin, taken(last, 1) + samples);
    for k = first:last
      channels = near{taken(k, 2)};
      values = block(taken(k, 1) - origin + (1:samples), channels);
      row = firstRows(taken(k, 2)) + taken(k, 3) * numel(channels);
      fseek(output, 128 + 4 * samples * row, 'bof');
      write(output, name, single(values), 'single');
    end
  end
end

function last = lastOfRun(plan, firsts, samples, first)
  % Returns the last snippet that is read together with the first one: between them there is no hop
  % that need not be filtered, no seam, and no more than fits 2^22 values.
  most = max(4 * samples, floor(2^22 / numel(plan.channels)));
  stretch = plan.stretches(find(plan.stretches(:, 1) <= firsts(first), 1, 'last'), :);
  bound = min(firsts(first) + most, stretch(2));
  last = first;
  while last < numel(firsts) && firsts(last + 1) + samples <= bound && ...
      floor((firsts(last + 1) - stretch(1)) / plan.hop) <= ...
      floor((firsts(last) + samples - 1 - stretch(1)) / plan.hop)
    last = last + 1;
  end
end

function write(fid, name, values, kind)
  if fwrite(fid, values, kind, 0, 'ieee-le') ~= numel(values)
    error('cutSnippets:cannotWrite', '%s', ['cannot write to ' name '; is the disk full?']);
  end
end
