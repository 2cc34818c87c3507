function levels = eventLevels(plan, options)
  % EVENTLEVELS returns the level of each channel, and where it is armed again.
  %
  %   levels = eventLevels(plan, options)
  %
  % Inputs
  %   plan     struct, as of planFilter
  %   options  struct, as of eventOptions
  %
  % Output
  %   levels   struct of rows, a number per channel of the plan, in counts: level and release, NaN
  %            for a channel that has none, and sigma, NaN where it was not measured; and noiseFrom,
  %            of which samples the noise is
  %
  % With threshold, levels have 15 digits, as they do in a settings file.
  %
  % Errors: openFile:cannotOpen, readBlock:tooShort
  %
  % Example: levels halfway from the minimum to the maximum of each channel.
  %   aggregate = readAggregate('aggregate.json');
  %   options = eventOptions(aggregate, {'threshold', 0.5});
  %   plan = planFilter(aggregate, options.channels, [], [], options.labels, 'double');
  %   levels = eventLevels(plan, options);

  channels = numel(plan.channels);
  base = zeros(1, channels);
  levels.sigma = nan(1, channels);
  levels.noiseFrom = '';
  isFalling = strcmp(options.polarity, 'falling');
  if ~isempty(options.level)
    level = options.level;
  elseif ~isempty(options.noise)
    [levels.sigma, levels.noiseFrom] = noiseLevel(plan, options.noiseFrom);
    level = options.noise .* levels.sigma * (1 - 2 * isFalling);
    level(levels.sigma == 0) = NaN;
  else
    [near, far] = extremes(plan, options.polarity);
    if isempty(options.low)
      base = near;
    end
    level = base + options.threshold .* (far - base);
    for k = 1:channels
      level(k) = str2double(sprintf('%.15g', level(k)));
    end
  end
  levels.level = level;
  if ~isempty(options.release)
    levels.release = base + options.release * (level - base);
  elseif isFalling
    levels.release = level + options.hysteresis;
  else
    levels.release = level - options.hysteresis;
  end
end

function [near, far] = extremes(plan, polarity)
  % Returns the extremes of each channel, NaN left out: first that which is further from an event.
  near = nan(1, numel(plan.channels));
  far = near;
  blocks = planBlocks(plan, plan.stretches);
  for k = 1:size(blocks, 1)
    block = readFiltered(plan, blocks(k, 1), blocks(k, 2));
    if strcmp(polarity, 'absolute')
      block = abs(block);
    end
    near = min(near, min(block, [], 1));
    far = max(far, max(block, [], 1));
  end
  if strcmp(polarity, 'falling')
    [near, far] = deal(far, near);
  end
end
