function options = eventOptions(aggregate, given)
  % EVENTOPTIONS checks the options of findEvents, and says all of them in samples and counts.
  %
  %   options = eventOptions(aggregate, given)
  %
  % Inputs
  %   aggregate  struct, as of readAggregate
  %   given      cell {name, value, ...}, as findEvents takes them; [] is the default
  %
  % Output
  %   options    struct with a field per option; channels is a row of them, labels (a row) is in
  %              place of reference, levels and hysteresis are rows; width, refractory and
  %              peakWithin are samples (Inf: to the end), the others as given
  %
  % Errors: eventOptions:unknownOption, eventOptions:conflict, eventOptions:badValue,
  %   eventOptions:unknownRate
  %
  % Example: a refractory period of 1 ms at 30 kHz is 30 samples.
  %   aggregate = readAggregate('aggregate.json');
  %   options = eventOptions(aggregate, {'level', 5, 'refractory', 1});

  options = struct('low', [], 'high', [], 'reference', 'none', 'polarity', 'rising', ...
                   'level', [], 'threshold', [], 'noise', [], 'hysteresis', [], 'release', [], ...
                   'settle', 1, 'width', 0, 'widthTolerance', 0.2, 'refractory', 0, ...
                   'peakWithin', inf, 'peakPastEnd', false, 'ends', false, 'channels', [], ...
                   'noiseFrom', 'auto', 'precision', 'double', 'blockSamples', []);
  names = fieldnames(options);
  for k = 1:2:numel(given)
    name = given{k};
    if ~ischar(name) || ~any(strcmp(name, names)) || k == numel(given)
      error('eventOptions:unknownOption', '%s', ...
            ['options are pairs of a name and a value, and the names are ' strjoin(names', ', ') ...
             '; not ' describe(name)]);
    end
    if ~isempty(given{k + 1})
      options.(name) = given{k + 1};
    end
  end
  options = checkLevels(options);
  checkChoices(options);
  checkNumbers(options);
  options = spreadOverChannels(options, aggregate);
  for name = {'width', 'refractory', 'peakWithin'}
    options.(name{1}) = inSamples(name{1}, options.(name{1}), aggregate);
  end
end

function options = checkLevels(options)
  isGiven = [~isempty(options.level), ~isempty(options.threshold), ~isempty(options.noise)];
  if sum(isGiven) > 1
    conflict('give one of level, threshold and noise');
  end
  if sum(isGiven) == 0
    options.threshold = 0.75;
  end
  if ~isempty(options.release) && ~isempty(options.hysteresis)
    conflict('give one of hysteresis and release');
  end
  if ~isempty(options.release) && ~isempty(options.level)
    conflict(['release is a fraction of the way to a threshold or a multiple of the noise; ' ...
              'with level, give hysteresis']);
  end
  if isequal(options.peakPastEnd, true) && isequal(options.peakWithin, inf)
    conflict('with peakPastEnd, give peakWithin too');
  end
  if isempty(options.hysteresis)
    options.hysteresis = 0;
  end
end

function checkChoices(options)
  choices = struct('polarity', {{'rising', 'falling', 'absolute'}}, ...
                   'noiseFrom', {{'all', 'auto'}}, 'precision', {{'double', 'single'}});
  for name = fieldnames(choices)'
    known = choices.(name{1});
    if ~ischar(options.(name{1})) || ~any(strcmp(options.(name{1}), known))
      badValue(name{1}, options.(name{1}), ['one of ' strjoin(known, ', ')]);
    end
  end
end

function checkNumbers(options)
  % The least and the largest value of each; whole numbers, and more than one, where they may be.
  limits = {'threshold', 0, 1; 'noise', 0, inf; 'release', 0, 1; 'settle', 1, inf; ...
            'width', 0, inf; 'widthTolerance', 0, inf; 'refractory', 0, inf; ...
            'peakWithin', 0, inf; 'hysteresis', 0, inf; 'level', -inf, inf; ...
            'channels', 1, inf; 'low', 0, inf; 'high', 0, inf; 'blockSamples', 1, inf};
  for k = 1:size(limits, 1)
    [name, least, most] = limits{k, :};
    value = options.(name);
    mayBeSeveral = any(strcmp(name, {'hysteresis', 'level', 'threshold', 'noise', 'channels'}));
    mustBeWhole = any(strcmp(name, {'settle', 'channels', 'blockSamples'}));
    isNumber = isnumeric(value) && (numel(value) <= 1 || mayBeSeveral) && ...
               (isequal(value, floor(value)) || ~mustBeWhole);
    if ~isNumber || any(value < least) || any(value > most)
      known = ['between ' sprintf('%g', least) ' and ' sprintf('%g', most)];
      if mustBeWhole
        known = ['whole, ' known];
      end
      badValue(name, value, known);
    end
  end
  for name = {'peakPastEnd', 'ends'}
    value = options.(name{1});
    if ~isscalar(value) || ~(islogical(value) || isequal(value, 0) || isequal(value, 1))
      badValue(name{1}, value, 'true or false');
    end
  end
end

function options = spreadOverChannels(options, aggregate)
  if isempty(options.channels)
    options.channels = find(~strcmp(aggregate.kinds, 'digital'));
  end
  options.channels = double(options.channels(:)');
  channels = numel(options.channels);
  if numel(unique(options.channels)) < channels || any(options.channels > aggregate.channels)
    badValue('channels', options.channels, ...
             ['different ones of 1 to ' sprintf('%d', aggregate.channels)]);
  end
  for name = {'level', 'hysteresis', 'threshold', 'noise'}
    options.(name{1}) = spread(name{1}, options.(name{1}), channels);
  end
  labels = options.reference;
  if ischar(labels) && any(strcmp(labels, {'none', 'median'}))
    labels = double(strcmp(labels, 'median'));
  elseif ~isnumeric(labels)
    badValue('reference', labels, 'none, median, or a number per channel');
  end
  options.labels = spread('reference', labels, channels);
end

function values = spread(name, values, channels)
  values = double(values(:)');
  if isscalar(values)
    values = repmat(values, 1, channels);
  elseif ~isempty(values) && numel(values) ~= channels
    badValue(name, values, ['one number, or one for each of ' sprintf('%d', channels) ...
                            ' channels']);
  end
end

function samples = inSamples(name, duration, aggregate)
  samples = duration;
  if duration > 0 && ~isinf(duration)
    if isnan(aggregate.samplingRateHz)
      error('eventOptions:unknownRate', '%s', ...
            [name ' is in ms, and ' aggregate.file ' does not say the sampling rate']);
    end
    samples = max(1, floor(duration * aggregate.samplingRateHz / 1000 + 0.5));
  end
end

function conflict(message)
  error('eventOptions:conflict', '%s', message);
end

function badValue(name, value, known)
  error('eventOptions:badValue', '%s', [name ' must be ' known ', not ' describe(value)]);
end

function text = describe(value)
  if ischar(value)
    text = value;
  elseif isnumeric(value)
    text = strjoin(arrayfun(@(x) sprintf('%g', x), value(:)', 'UniformOutput', false), ' ');
  else
    text = ['a ' class(value)];
  end
end
