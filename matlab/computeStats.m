function computeStats(aggregateFile, statsFile)
  % COMPUTESTATS writes count, minimum, maximum, mean and standard deviation per channel.
  %
  %   computeStats(aggregateFile, statsFile)
  %
  % Inputs
  %   aggregateFile  char row, an aggregate.json: what the samples are, and where they lie
  %   statsFile      char row, made anew: JSON with count (samples per channel) and lists min,
  %                  max, mean, std with one value per channel, in raw counts
  %
  % NaN samples are left out of min, max, mean and std. std divides by n - 1. Digital channels have
  % no mean and std: their values are words of bits. What JSON has no number for: what there is not
  % (also of a channel of NaN alone, or the std of one sample) is null, infinity is the text
  % "Infinity" or "-Infinity".
  %
  % One pass, a block at a time; blocks are merged as in Chan, Golub and LeVeque (1983), each
  % summed from an origin near the mean so far. Sums that are not exact are taken by halves, in an
  % order that every engine can keep to the last bit.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, computeStats:noSamples, closeFile:incomplete
  %
  % Example: the samples 1 2 3 4 of one channel give count 4, min [1], max [4], mean [2.5],
  %   std [1.29...]
  %   computeStats('aggregate.json', 'stats.json');

  aggregate = readAggregate(aggregateFile);
  if aggregate.samples == 0
    error('computeStats:noSamples', '%s', [aggregateFile ' has no samples']);
  end
  channels = aggregate.channels;
  isWhole = ~any(strcmp(aggregate.dtype, {'float32', 'float64'}));
  % A block's sums and sums of squares, from a whole origin, are exact in whatever order.
  isExact = isWhole && ~strcmp(aggregate.dtype, 'int32');
  lowest = nan(channels, 1);
  highest = nan(channels, 1);
  valid = zeros(channels, 1);    % samples that are numbers
  total = zeros(channels, 1);
  center = zeros(channels, 1);   % running mean
  squares = zeros(channels, 1);  % sum of squared deviations from it
  for first = 0:aggregate.blockSamples:aggregate.samples - 1
    block = readBlock(aggregate, first);
    lowest = min(lowest, min(block, [], 2));
    highest = max(highest, max(block, [], 2));
    n = repmat(size(block, 2), channels, 1);
    isMissing = false;
    if ~isWhole
      isMissing = isnan(block);
      n = n - sum(isMissing, 2);
      block(isMissing) = 0;
    end
    origin = center;
    isFirst = valid == 0;
    if any(isFirst)
      average = sumRows(block, isExact) ./ max(n, 1);
      origin(isFirst) = average(isFirst);
    end
    origin(~isfinite(origin)) = 0;
    if isWhole
      origin = floor(origin + 0.5);
    end
    deviation = block - origin;
    deviation(isMissing) = 0;
    shift = sumRows(deviation, isExact);
    blockSquares = sumSquares(deviation, isExact) - shift .* shift ./ max(n, 1);
    total = total + n .* origin + shift;
    shift = origin + shift ./ max(n, 1) - center;
    valid = valid + n;
    weight = n ./ max(valid, 1);
    squares = squares + blockSquares + shift .* shift .* (valid - n) .* weight;
    center = center + shift .* weight;
  end
  average = total ./ valid;
  squares(squares < 0) = 0;  % what rounding leaves of equal samples
  deviation = sqrt(squares ./ (valid - 1));
  deviation(valid < 2) = NaN;
  isDigital = strcmp(aggregate.kinds, 'digital');
  average(isDigital) = NaN;
  deviation(isDigital) = NaN;

  % + 0 makes 0 of -0, which min and max take for equal.
  text = ['{"count": ' sprintf('%.0f', aggregate.samples) ...
          ', "min": ' listText(lowest + 0) ', "max": ' listText(highest + 0) ...
          ', "mean": ' listText(average) ', "std": ' listText(deviation) '}' char(10)];
  output = openFile(statsFile, 'w');
  closingOutput = onCleanup(@() closeFile(output));
  fwrite(output, uint8(text), 'uint8');
  closeFile(output, statsFile, numel(text));
end

function total = sumRows(x, isExact)
  if isExact
    total = sum(x, 2);
  else
    total = sumByHalves(x);
  end
end

function total = sumSquares(x, isExact)
  if isExact
    total = dot(x, x, 2);
  else
    total = sumByHalves(x .* x);
  end
end

function total = sumByHalves(x)
  % Sums each row of x: the second half is added to the first until one column is left.
  n = size(x, 2);
  while n > 1
    half = floor(n / 2);
    added = x(:, 1:half) + x(:, half + 1:2 * half);
    if mod(n, 2) == 1
      added(:, 1) = added(:, 1) + x(:, n);
    end
    x = added;
    n = half;
  end
  total = x;
end

function text = listText(values)
  items = cell(1, numel(values));
  for k = 1:numel(values)
    if isnan(values(k))
      items{k} = 'null';
    elseif isinf(values(k)) && values(k) > 0
      items{k} = '"Infinity"';
    elseif isinf(values(k))
      items{k} = '"-Infinity"';
    else
      items{k} = sprintf('%.17g', values(k));
    end
  end
  text = ['[' strjoin(items, ', ') ']'];
end
