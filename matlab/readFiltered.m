function block = readFiltered(plan, first, last)
  % READFILTERED reads samples of an aggregate, band-passed, and less the median of the channels.
  %
  %   block = readFiltered(plan, first, last)
  %
  % Inputs
  %   plan   struct, as of planFilter
  %   first  0-based number of the first sample
  %   last   0-based number of the sample after the last one
  %
  % Output
  %   block  samples x channels double, the channels of the plan in its order: one channel is one
  %          column, other than in readBlock
  %
  % The filter is centred: it has no delay. A stretch without a seam never sees the samples of
  % another; at its ends it is reflected, x(-k) = 2 * x(0) - x(k), as far as there are samples, and
  % beyond it holds the last value. Where a sample within half a filter is NaN or infinite, the
  % result is NaN. The median leaves NaN out.
  %
  % Errors: openFile:cannotOpen, readBlock:tooShort
  %
  % Example: the first 100 samples of all channels above 300 Hz.
  %   aggregate = readAggregate('aggregate.json');
  %   plan = planFilter(aggregate, 1:aggregate.channels, 300, [], 0, 'double');
  %   block = readFiltered(plan, 0, 100);

  last = min(last, plan.aggregate.samples);
  if isempty(plan.taps)
    block = readChannels(plan, first, last);
  else
    block = readHops(plan, first, last);
  end
  for label = setdiff(plan.labels, 0)
    isMember = plan.labels == label;
    if all(isMember)
      block = block - rowMedians(block);
    else
      block(:, isMember) = block(:, isMember) - rowMedians(block(:, isMember));
    end
  end
end

function block = readHops(plan, first, last)
  pieces = {zeros(0, numel(plan.channels))};
  step = plan.hop * plan.hopsAtOnce;
  for k = find(plan.stretches(:, 1)' < last & plan.stretches(:, 2)' > first)
    stretch = plan.stretches(k, :);
    from = max(first, stretch(1));
    to = min(last, stretch(2));
    for begin = stretch(1) + floor((from - stretch(1)) / step) * step:step:to - 1
      hops = filterHops(plan, stretch, begin);
      rows = max(from - begin, 0) + 1:min(to - begin, size(hops, 1));
      if numel(rows) < size(hops, 1)
        hops = hops(rows, :);
      end
      pieces{end + 1} = hops;
    end
  end
  block = cat(1, pieces{:});
end

function x = readChannels(plan, first, last)
  x = readBlock(plan.aggregate, first, last)';
  if ~isequal(plan.channels, 1:size(x, 2))
    x = x(:, plan.channels);
  end
end

function y = filterHops(plan, stretch, begin)
  % Filters the hops of a stretch from sample `begin` on: those that are one FFT.
  x = readReflected(plan, stretch, begin);
  isBad = [];
  if any(strcmp(plan.aggregate.dtype, {'float32', 'float64'}))
    isBad = ~isfinite(x);
    if ~any(isBad(:))
      isBad = [];
    end
  end
  taps = numel(plan.taps);
  y = zeros(size(x, 1) - taps + 1, size(x, 2));
  for one = 1:plan.channelsAtOnce:size(x, 2)
    columns = one:min(one + plan.channelsAtOnce - 1, size(x, 2));
    badOnes = [];
    if ~isempty(isBad)
      badOnes = isBad(:, columns);
    end
    y(:, columns) = convolve(plan, x(:, columns), badOnes);
  end
  if ~isempty(isBad)
    before = cumsum([zeros(1, size(isBad, 2)); isBad]);
    y(before(taps + 1:end, :) > before(1:end - taps, :)) = NaN;
  end
end

function y = convolve(plan, x, isBad)
  results = size(x, 1) - numel(plan.taps) + 1;
  [hop, origin] = oneHop(plan, x, isBad, 1);
  if results > plan.hop
    [otherHop, otherOrigin] = oneHop(plan, x, isBad, 2);
    z = filterColumns(plan, complex(hop, otherHop));
    y = double([real(z); imag(z)]);
    largest = double(max(max(abs(hop), [], 1), max(abs(otherHop), [], 1)));
  else
    y = double(real(filterColumns(plan, hop)));
    largest = double(max(abs(hop), [], 1));
  end
  % What is nothing but rounding is 0: a channel without noise, but with steps, has none.
  rounding = [2^-44, 2^-21];
  y(abs(y) <= largest * rounding(1 + strcmp(plan.precision, 'single'))) = 0;
  if plan.keepsOffset
    y(1:plan.hop, :) = y(1:plan.hop, :) + origin;
    if results > plan.hop
      y(plan.hop + 1:end, :) = y(plan.hop + 1:end, :) + otherOrigin;
    end
  end
  if results < size(y, 1)
    y = y(1:results, :);
  end
end

function [hop, origin] = oneHop(plan, x, isBad, number)
  % Returns the samples of a hop less the first of them that is a number: what is constant is 0 to
  % the last bit, and so is what the filter makes of it.
  skipped = (number - 1) * plan.hop;
  rows = skipped + 1:min(skipped + plan.fftLength, size(x, 1));
  origin = x(rows(1), :);
  for k = find(~isfinite(origin))
    known = find(~isBad(rows, k), 1);
    origin(k) = sum(x(rows(known), k));  % 0 without one
  end
  hop = x(rows, :) - origin;
  if ~isempty(isBad)
    hop(isBad(rows, :)) = 0;
  end
  hop = cast(hop, plan.precision);
  hop(end + 1:plan.fftLength, :) = 0;
end

function z = filterColumns(plan, x)
  z = ifft(fft(x) .* plan.spectrum);
  z = z(numel(plan.taps):end, :);
end

function x = readReflected(plan, stretch, begin)
  % Reads what the hops from `begin` on need: half a filter more on either side.
  half = (numel(plan.taps) - 1) / 2;
  from = begin - half;
  to = min(begin + plan.hop * plan.hopsAtOnce, stretch(2)) + half;
  readFrom = max(from, stretch(1));
  readTo = min(to, stretch(2));
  x = readChannels(plan, readFrom, readTo);
  if readFrom > from || readTo < to
    longest = stretch(2) - stretch(1) - 1;
    before = min(readFrom - from:-1:1, longest);
    after = min(1:to - readTo, longest);
    n = size(x, 1);
    x = [2 * x(1, :) - x(1 + before, :); x; 2 * x(n, :) - x(n - after, :)];
  end
end

function middle = rowMedians(x)
  % median leaves NaN out in newer releases alone, and takes it for a number in none.
  isMissing = isnan(x);
  if ~any(isMissing(:))
    middle = median(x, 2);
    return
  end
  middle = nan(size(x, 1), 1);
  isWhole = ~any(isMissing, 2);
  if any(isWhole)
    middle(isWhole) = median(x(isWhole, :), 2);
  end
  rows = find(~isWhole & ~all(isMissing, 2));
  sorted = sort(x(rows, :), 2);  % NaN is last
  n = sum(~isMissing(rows, :), 2);
  k = (1:numel(rows))';
  lower = sorted(k + (floor((n + 1) / 2) - 1) * numel(rows));
  upper = sorted(k + floor(n / 2) * numel(rows));
  middle(rows) = (lower + upper) / 2;
end
