function [sigma, from] = noiseLevel(plan, noiseFrom)
  % NOISELEVEL estimates the standard deviation of the noise, which rare spikes hardly change.
  %
  %   sigma = noiseLevel(plan)
  %   [sigma, from] = noiseLevel(plan, noiseFrom)
  %
  % Inputs
  %   plan       struct, as of planFilter
  %   noiseFrom  'auto' (default): all samples, or where there are more than 2^20 of them, 40
  %              stretches of half a second, spread evenly, none across a seam; 'all'
  %
  % Outputs
  %   sigma      row, one number per channel of the plan, in counts; NaN for a channel of NaN alone
  %   from       char row, 'all samples' or '40 stretches of 0.5 s'
  %
  % The median of the distances from the median, divided by 0.6745, which for normal noise is the
  % standard deviation (Quiroga, Nadasdy and Ben-Shaul 2004). Of the filtered signal; NaN is left
  % out. The medians are exact. Up to 2^24 values are held; of more, those of a part say in which
  % narrow windows the medians lie, and only what lies there is held.
  %
  % Errors: openFile:cannotOpen, readBlock:tooShort
  %
  % Example: the noise of all channels from 300 to 6000 Hz.
  %   aggregate = readAggregate('aggregate.json');
  %   plan = planFilter(aggregate, 1:aggregate.channels, 300, 6000, 0, 'double');
  %   sigma = noiseLevel(plan);

  samples = plan.aggregate.samples;
  rate = plan.aggregate.samplingRateHz;
  half = floor(rate / 2 + 0.5);
  isAll = (nargin > 1 && isequal('all', noiseFrom)) || samples <= 2^20 || ...
          ~(half > 0 && half < samples);
  if isAll
    pieces = plan.stretches;
    from = 'all samples';
  else
    pieces = halfSeconds(plan.stretches, samples, half);
    from = '40 stretches of 0.5 s';
  end
  blocks = planBlocks(plan, pieces);
  channels = numel(plan.channels);
  if sum(pieces(:, 2) - pieces(:, 1)) * channels <= plan.heldValues
    held = readEvery(plan, blocks, 1);
    deviation = nan(1, channels);
    for k = 1:channels
      x = held(~isnan(held(:, k)), k);
      if ~isempty(x)
        deviation(k) = median(abs(x - median(x)));
      end
    end
  else
    deviation = findInWindows(plan, blocks);
  end
  sigma = deviation / 0.6744897501960817;
end

function pieces = halfSeconds(stretches, samples, half)
  pieces = zeros(40, 2);
  for k = 1:40
    first = floor((k - 1) * (samples - half) / 39);
    % What a seam would cut is moved to that side of it where its middle is.
    middle = first + floor(half / 2);
    stretch = stretches(find(stretches(:, 1) <= middle, 1, 'last'), :);
    first = max(stretch(1), min(first, stretch(2) - half));
    pieces(k, :) = [first, min(first + half, stretch(2))];
  end
end

function held = readEvery(plan, blocks, step)
  % Reads every step-th sample of some blocks.
  counts = ceil((blocks(:, 2) - blocks(:, 1)) / step);
  held = zeros(sum(counts), numel(plan.channels));
  rows = 0;
  for k = 1:size(blocks, 1)
    y = readFiltered(plan, blocks(k, 1), blocks(k, 2));
    held(rows + 1:rows + counts(k), :) = y(1:step:end, :);
    rows = rows + counts(k);
  end
end

function deviation = findInWindows(plan, blocks)
  look = firstLook(plan, blocks);
  deviation = nan(1, numel(plan.channels));
  while any(~look.isDone)
    [look, near, far] = keepWhatIsNear(plan, blocks, look);
    for k = find(~look.isDone)
      [look, deviation(k)] = judgeChannel(look, k, valuesOf(near, k), valuesOf(far, k));
    end
  end
end

function look = firstLook(plan, blocks)
  % Guesses the median of each channel, and that of the distances from it, by every eighth block;
  % takes a window about each.
  channels = numel(plan.channels);
  some = blocks(1:max(1, min(8, floor(size(blocks, 1) / 8))):end, :);
  values = sum(some(:, 2) - some(:, 1)) * channels;
  held = readEvery(plan, some, ceil(values / plan.heldValues));
  nothing = zeros(1, channels);
  look = struct('center', nothing, 'reach', nothing, 'distance', nothing, ...
                'distanceReach', nothing, 'isMedian', false(1, channels), ...
                'isDone', false(1, channels), 'passes', 0, ...
                'most', plan.heldValues / 4 / channels);
  share = look.most / sum(blocks(:, 2) - blocks(:, 1));
  for k = 1:channels
    x = held(~isnan(held(:, k)), k);
    if ~isempty(x)
      [look.center(k), look.reach(k)] = window(x, share);
      [look.distance(k), look.distanceReach(k)] = window(abs(x - look.center(k)), share);
      % Half of the values are infinite.
      look.isDone(k) = ~isfinite(look.distance(k));
    end
  end
end

function [center, reach] = window(x, share)
  % Six standard errors of a median, and a hundredth of the values, or as many as can be held; how
  % far that is, some thousand values tell.
  n = numel(x);
  center = median(x);
  some = sort(x(1:ceil(n / 4096):n));
  middle = ceil(numel(some) / 2);
  rows = ceil(numel(some) / 20);
  lower = some(max(1, middle - rows));
  upper = some(min(numel(some), middle + rows));
  reach = (upper - lower) / 2 * min(share / 2, 0.01 + 3 / sqrt(n)) / 0.05;
  if ~isfinite(reach)
    reach = 0;
  end
end

function [look, near, far] = keepWhatIsNear(plan, blocks, look)
  % Counts the values below the windows, and keeps those in them.
  reach = look.reach;
  reach(look.isMedian | look.isDone) = -1;
  distanceReach = look.distanceReach;
  distanceReach(look.isDone) = -1;
  look.valid = 0;
  look.below = 0;
  look.inside = 0;
  look.besideNear = nan(2, numel(reach));
  look.besideFar = look.besideNear;
  near = {};
  far = {};
  for k = 1:size(blocks, 1)
    y = readFiltered(plan, blocks(k, 1), blocks(k, 2));
    look.valid = look.valid + sum(~isnan(y), 1);
    deviation = y - look.center;
    look.below = look.below + sum(deviation < -reach, 1);
    distance = abs(deviation);
    near = kept(near, y, distance <= reach, plan.heldValues / 4);
    % By one and the same difference, so that rounding puts no value on both sides.
    further = distance - look.distance;
    look.inside = look.inside + sum(further < -distanceReach, 1);
    far = kept(far, y, abs(further) <= distanceReach, plan.heldValues / 4);
    if look.passes > 0
      look.besideNear = closest(look.besideNear, y, deviation, reach);
      look.besideFar = closest(look.besideFar, distance, further, distanceReach);
    end
  end
  look.passes = look.passes + 1;
end

function beside = closest(beside, values, deviation, reach)
  % Returns the last value below the windows and the first one above: of the two in the middle, one
  % may be far away.
  candidates = values;
  candidates(~(deviation < -reach)) = -inf;
  beside(1, :) = max(beside(1, :), max(candidates, [], 1));
  candidates = values;
  candidates(~(deviation > reach)) = inf;
  beside(2, :) = min(beside(2, :), min(candidates, [], 1));
end

function pieces = kept(pieces, y, isKept, most)
  % Adds what is kept of a block: values, how often each is there ([]: once), and where those of a
  % channel end.
  index = find(isKept);
  piece.value = reshape(y(index), [], 1);
  piece.count = [];
  piece.lasts = cumsum(sum(isKept, 1));
  if 4 * numel(index) > numel(y)
    % So many are equal ones, of a channel that is off or has no band.
    piece = merged({piece});
  end
  pieces{end + 1} = piece;
  waiting = 0;
  for k = 2:numel(pieces)
    waiting = waiting + numel(pieces{k}.value);
  end
  if waiting > most || numel(pieces) > 64
    pieces = {merged(pieces)};
  end
end

function piece = merged(pieces)
  % Makes one piece of several, and one of equal values.
  channels = numel(pieces{1}.lasts);
  rows = cell(channels, 1);
  for k = 1:channels
    rows{k} = valuesOf(pieces, k);
  end
  lengths = cellfun('size', rows, 1);
  rows = cat(1, rows{:});
  piece = struct('value', rows(:, 1), 'count', rows(:, 2), 'lasts', cumsum(lengths(:)'));
end

function rows = valuesOf(pieces, channel)
  % Returns the values of a channel, sorted, and how often each is there.
  rows = cell(numel(pieces), 1);
  for k = 1:numel(pieces)
    piece = pieces{k};
    lasts = [0, piece.lasts];
    range = lasts(channel) + 1:lasts(channel + 1);
    count = ones(numel(range), 1);
    if ~isempty(piece.count)
      count = piece.count(range);
    end
    rows{k} = [reshape(piece.value(range), [], 1), reshape(count, [], 1)];
  end
  rows = cat(1, zeros(0, 2), rows{:});
  if isempty(rows)
    return
  end
  [value, order] = sort(rows(:, 1));
  total = cumsum(rows(order, 2));
  isLast = [diff(value) ~= 0; true];
  rows = [value(isLast), diff([0; total(isLast)])];
end

function [look, deviation] = judgeChannel(look, k, near, far)
  % Finds the medians of a channel among the kept values; where one is not, its window moves.
  deviation = NaN;
  n = look.valid(k);
  ranks = [floor((n + 1) / 2), floor(n / 2) + 1];
  if n == 0
    look.isDone(k) = true;
    return
  end
  shift = 0;
  if ~look.isMedian(k)
    [middle, missing] = atRanks(near, ranks - look.below(k), look.besideNear(:, k));
    if missing ~= 0
      [look.center(k), look.reach(k)] = moved(look.center(k), look.reach(k), near, missing, look);
      return
    end
    shift = abs(middle - look.center(k));
    look.center(k) = middle;
    look.isMedian(k) = true;
  end
  far(:, 1) = abs(far(:, 1) - look.center(k));
  far = sortrows(far);
  [deviation, missing] = atRanks(far, ranks - look.inside(k), look.besideFar(:, k));
  % What was kept is all that lies in the window about another median.
  reach = look.distanceReach(k) - shift - 8 * eps(look.distance(k) + abs(look.center(k)));
  look.isDone(k) = missing == 0 && (shift == 0 || abs(deviation - look.distance(k)) <= reach);
  if missing ~= 0
    [look.distance(k), look.distanceReach(k)] = ...
      moved(look.distance(k), look.distanceReach(k), far, missing, look);
  elseif ~look.isDone(k)
    look.distance(k) = deviation;
  end
end

function [middle, missing] = atRanks(values, ranks, beside)
  % Returns the mean of the values at two ranks, or how many are missing below (< 0) or above.
  values = [beside(1), 1; values; beside(2), 1];
  total = cumsum(values(:, 2)) - 1;
  middle = NaN;
  if ranks(1) >= 0 && ranks(2) <= total(end)
    middle = (values(find(total >= ranks(1), 1), 1) + values(find(total >= ranks(2), 1), 1)) / 2;
  end
  missing = 0;
  if isnan(middle)
    missing = min(0, ranks(1) - 1) + max(0, ranks(2) - total(end - 1));
    missing = missing + (missing == 0);
  end
end

function [center, reach] = moved(center, reach, values, missing, look)
  % Goes where the missing ranks should be, if values lie as closely there as in the window. A
  % single one may be right beside it, which the next pass tells.
  if abs(missing) == 1 && look.passes == 1
    return
  end
  held = sum(values(:, 2));
  perValue = 2 * reach / max(1, held);
  further = max([abs(missing) * perValue, reach, eps(center)]);
  center = center + sign(missing) * (reach + further);
  reach = 1.5 * further;
  if held > 0 && look.passes < 10
    reach = min(reach, max(look.most * perValue, eps(center)));
  end
end
