function [tracker, found, finished] = trackCrossings(tracker, block, first, place)
  % TRACKCROSSINGS finds the events of a block of samples, and goes on with those of the one before.
  %
  %   [tracker, found, finished] = trackCrossings(tracker, block, first, place)
  %
  % Inputs
  %   tracker   struct with what an event is, in samples and counts, as findEvents makes it: level,
  %             release (rows, a number per channel), polarity, settle, width, widthTolerance,
  %             refractory, peakWithin, peakPastEnd, ends; and what is left of the block before
  %   block     samples x channels double
  %   first     0-based number of the first sample
  %   place     [isFirst, isLast], whether a stretch without a seam begins or ends with the block
  %
  % Outputs
  %   tracker   the same for the next block; in rejected, how many events had another width, or came
  %             too soon
  %   found     struct of columns, an element per event: id, onset, channel (1-based), stop (the
  %             sample after the last), peak, polarity, amplitude, isOpen, isFinished. Of one not
  %             finished, stop, peak and amplitude are those so far
  %   finished  likewise, what came of events that were not finished
  %
  % Nothing depends on how the samples are cut into blocks.
  %
  % Example: findEvents has one.

  if place(1)
    tracker = beginStretch(tracker);
  end
  first = first - size(tracker.tail, 1);
  block = [tracker.tail; block];
  % Whether so many samples in a row are there, the next block may have to say.
  samples = size(block, 1) - (tracker.settle - 1) * ~place(2);
  tracker.tail = block(max(1, samples + 1):end, :);
  if samples < 1
    found = pickEvents(tracker.pending, []);
    finished = found;
    return
  end
  [tracker, candidates] = findCandidates(tracker, block, samples);
  block = block(1:samples, :);
  [tracker, events] = matchEnds(tracker, candidates, block, first, place(2));
  [tracker, events] = acceptEvents(tracker, events, first + samples);
  events = findPeaks(tracker, events, block, first);

  isOver = ~isinf(events.stop);
  events.isFinished = isOver & (events.limit <= first + samples | place(2));
  isGiven = events.isAccepted & ~events.isGiven;
  found = pickEvents(events, isGiven);
  finished = pickEvents(events, events.isGiven & events.isFinished);
  if tracker.ends
    isEnding = events.isAccepted & isOver & ~events.isOpen & events.stop >= first;
    [tracker, ending] = endsOf(tracker, pickEvents(events, isEnding), block, first);
    found = joinEvents(found, ending);
  end
  events.isGiven = events.isAccepted;
  tracker.pending = pickEvents(events, ~events.isFinished);
  tracker.waitsFrom = min([inf; events.onset(~events.isAccepted)]);
end

function tracker = beginStretch(tracker)
  channels = numel(tracker.level);
  tracker.tail = zeros(0, channels);
  tracker.wasBeyond = false(1, channels);
  tracker.wasNear = false(1, channels);
  tracker.wasMissing = false(1, channels);
  tracker.isFresh = true;
  tracker.waitsFrom = inf;  % the first event that is not decided on
  % The last that happened to each channel: 0 nothing or NaN, 1 it was near, 2 it was beyond.
  tracker.state = zeros(channels, 1);
  tracker.lastOnset = -inf(channels, 1);
  names = {'id', 'onset', 'channel', 'stop', 'peak', 'polarity', 'amplitude', 'limit', 'isOpen', ...
           'isAccepted', 'isGiven', 'isFinished'};
  tracker.pending = cell2struct(repmat({zeros(0, 1)}, 12, 1), names, 1);
end

function [tracker, candidates] = findCandidates(tracker, block, samples)
  % Finds where runs beyond the level, runs near the release and runs of NaN begin: in the order of
  % channels, then samples.
  level = tracker.level;
  release = tracker.release;
  if strcmp(tracker.polarity, 'falling')
    isBeyond = block <= level;
    isNear = block >= release & block > level;
  elseif strcmp(tracker.polarity, 'absolute')
    distance = abs(block);
    isBeyond = distance >= level;
    isNear = distance <= release & distance < level;
  else
    isBeyond = block >= level;
    isNear = block <= release & block < level;
  end
  isMissing = isnan(block(1:samples, :));
  if tracker.isFresh
    tracker.state(~isBeyond(1, :) & ~isMissing(1, :) & ~isnan(level)) = 1;
    tracker.isFresh = false;
  end
  beyond = beginnings(isBeyond, tracker.wasBeyond, tracker.settle, samples);
  near = beginnings(isNear, tracker.wasNear, tracker.settle, samples);
  missing = beginnings(isMissing, tracker.wasMissing, 1, samples);
  tracker.wasBeyond = isBeyond(samples, :);
  tracker.wasNear = isNear(samples, :);
  tracker.wasMissing = isMissing(samples, :);
  index = [beyond; near; missing];
  kind = [repmat(2, numel(beyond), 1); ones(numel(near), 1); zeros(numel(missing), 1)];
  [index, order] = sort(index);
  candidates.kind = kind(order);
  candidates.channel = ceil(index / samples);
  candidates.row = index - (candidates.channel - 1) * samples;
end

function index = beginnings(isInside, wasInside, settle, samples)
  % Returns where runs of at least so many samples begin, among the first `samples`: a column.
  begins = isInside;
  begins(1, :) = begins(1, :) & ~wasInside;
  begins(2:end, :) = begins(2:end, :) & ~isInside(1:end - 1, :);
  if settle > 1
    begins(max(1, end - settle + 2):end, :) = false;
    index = find(begins);
    for k = 1:settle - 1
      index = index(isInside(index + k));
    end
    rows = size(isInside, 1);
    channel = ceil(index(:) / rows);
    index = index(:) - (channel - 1) * (rows - samples);
  else
    index = find(begins);
    index = index(:);
  end
end

function [tracker, events] = matchEnds(tracker, candidates, block, first, isLast)
  % Returns the events that are pending, and those that begin, with their ends as far as known.
  kind = candidates.kind;
  channel = candidates.channel;
  isNew = [true(min(1, numel(kind)), 1); diff(channel) ~= 0];
  before = [0; kind(1:end - 1)];
  before = before(1:numel(kind));
  before(isNew) = tracker.state(channel(isNew));
  isLastOne = [isNew(2:end); true(min(1, numel(kind)), 1)];
  tracker.state(channel(isLastOne)) = kind(isLastOne);

  onset = find(kind == 2 & before == 1);
  events = newEvents(tracker, channel(onset), candidates.row(onset), block, first);
  tracker.nextId = tracker.nextId + numel(onset);
  % The next candidate that is not beyond; of none, one behind the last channel.
  others = find(kind ~= 2);
  counts = cumsum(kind ~= 2);
  events = endAt(events, (1:numel(onset))', counts(onset) + 1, candidates, others, first);
  pending = tracker.pending;
  isActive = find(isinf(pending.stop));
  next = nan(numel(tracker.level), 1);
  otherChannels = channel(others);
  firsts = find([true(min(1, numel(others)), 1); diff(otherChannels) ~= 0]);
  next(otherChannels(firsts)) = firsts;
  isActive = isActive(~isnan(next(pending.channel(isActive))));
  pending = endAt(pending, isActive, next(pending.channel(isActive)), candidates, others, first);
  events = joinEvents(pending, events);
  if isLast
    isActive = isinf(events.stop);
    events.stop(isActive) = first + size(block, 1);
    events.isOpen(isActive) = 1;
  end
end

function events = newEvents(tracker, channel, row, block, first)
  n = numel(row);
  onset = first + row - 1;
  value = block(row + (channel - 1) * size(block, 1));
  value = reshape(value, n, 1);
  polarity = ones(n, 1);
  if strcmp(tracker.polarity, 'falling')
    polarity(:) = -1;
  elseif strcmp(tracker.polarity, 'absolute')
    polarity(~(value > 0)) = -1;
  end
  none = zeros(n, 1);
  events = struct('id', tracker.nextId + (1:n)', 'onset', onset, 'channel', channel, ...
                  'stop', inf(n, 1), 'peak', onset, 'polarity', polarity, 'amplitude', value, ...
                  'limit', onset + tracker.peakWithin, 'isOpen', none, 'isAccepted', none, ...
                  'isGiven', none, 'isFinished', none);
end

function events = endAt(events, which, next, candidates, others, first)
  % Ends events at a candidate, if it is one of their channel.
  isThere = next <= numel(others);
  which = which(isThere);
  next = others(next(isThere));
  isSame = reshape(candidates.channel(next), [], 1) == events.channel(which);
  which = which(isSame);
  next = next(isSame);
  events.stop(which) = first + candidates.row(next) - 1;
  events.isOpen(which) = candidates.kind(next) == 0;
end

function [tracker, events] = acceptEvents(tracker, events, last)
  % Decides on width, then on the time since the last event of the channel that was accepted.
  isKept = true(numel(events.id), 1);
  isDecided = isKept;
  if tracker.width > 0
    % An event that is not over is at least so long.
    duration = min(events.stop, last) - events.onset;
    isOver = ~isinf(events.stop);
    difference = duration - tracker.width;
    most = tracker.widthTolerance * tracker.width;
    isWrong = (isOver & abs(difference) > most) | (~isOver & difference > most);
    isDecided = isOver | isWrong;
    isKept = ~isWrong | events.isAccepted;
    tracker.rejected.width = tracker.rejected.width + sum(~isKept);
  end
  isAsked = find(isKept & isDecided & ~events.isAccepted);
  [~, order] = sort(events.channel(isAsked));  % stable, and those of a channel are in order
  isAsked = isAsked(order);
  [tracker, isSoon] = comeSoon(tracker, events.onset(isAsked), events.channel(isAsked));
  events.isAccepted(isAsked) = 1;
  isKept(isAsked(isSoon)) = false;
  tracker.rejected.refractory = tracker.rejected.refractory + sum(isSoon);
  events = pickEvents(events, isKept);
end

function [tracker, isSoon] = comeSoon(tracker, onset, channel)
  % Events of one channel after the other, in order.
  isSoon = false(numel(onset), 1);
  if isempty(onset)
    return
  end
  isFirst = [true; diff(channel) ~= 0];
  accepted = onset;  % the onset that counts after each event
  before = [0; onset(1:end - 1)];
  before(isFirst) = tracker.lastOnset(channel(isFirst));
  for k = find(onset - before < tracker.refractory)'
    if ~isFirst(k)
      before(k) = accepted(k - 1);
    end
    if onset(k) - before(k) < tracker.refractory
      isSoon(k) = true;
      accepted(k) = before(k);
    end
  end
  isLast = [isFirst(2:end); true];
  tracker.lastOnset(channel(isLast)) = accepted(isLast);
end

function events = findPeaks(tracker, events, block, first)
  if ~tracker.peakPastEnd
    events.limit = min(events.limit, events.stop);
  end
  from = max(events.onset - first, 0);
  count = max(0, min(events.limit - first, size(block, 1)) - from);
  % A million samples at once, whatever windows overlap.
  total = cumsum(count);
  begin = 1;
  while begin <= numel(count)
    before = total(begin) - count(begin);
    last = max(begin, find(total - before <= 2^20, 1, 'last'));
    events = searchWindows(tracker, events, (begin:last)', from, count, block, first);
    begin = last + 1;
  end
end

function events = searchWindows(tracker, events, which, from, count, block, first)
  which = which(count(which) > 0);
  if isempty(which)
    return
  end
  count = count(which);
  lasts = cumsum(count);
  owner = zeros(lasts(end), 1);
  owner([1; lasts(1:end - 1) + 1]) = 1;
  owner = cumsum(owner);
  begins = lasts - count;
  row = (1:lasts(end))' - begins(owner) + from(which(owner));
  channel = events.channel(which(owner));
  value = block(row + (channel - 1) * size(block, 1));
  value = value(:);
  height = heights(tracker, value);
  height(isnan(height)) = -inf;
  most = accumarray(owner, height, [numel(which), 1], @max);
  at = find(height == most(owner));
  at = at([true; diff(owner(at)) ~= 0]);
  isBetter = most > heights(tracker, events.amplitude(which));
  at = at(isBetter);
  events.peak(which(isBetter)) = first + row(at) - 1;
  events.amplitude(which(isBetter)) = value(at);
end

function height = heights(tracker, value)
  if strcmp(tracker.polarity, 'falling')
    height = -value;
  elseif strcmp(tracker.polarity, 'absolute')
    height = abs(value);
  else
    height = value;
  end
end

function [tracker, ending] = endsOf(tracker, ending, block, first)
  % Makes an event of its own of each release.
  n = numel(ending.id);
  row = ending.stop - first + 1;
  ending.amplitude = reshape(block(row + (ending.channel - 1) * size(block, 1)), n, 1);
  ending.id = tracker.nextId + (1:n)';
  tracker.nextId = tracker.nextId + n;
  ending.onset = ending.stop;
  ending.peak = ending.stop;
  ending.stop = ending.stop + 1;
  ending.polarity = -ending.polarity;
  ending.isFinished = ones(n, 1);
end
