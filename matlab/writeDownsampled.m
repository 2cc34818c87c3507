function writeDownsampled(aggregateFile, dataFile, varargin)
  % WRITEDOWNSAMPLED writes a group with fewer samples per second, low-passed before, into a file.
  %
  %   writeDownsampled(aggregateFile, dataFile, name, value, ...)
  %
  % Inputs
  %   aggregateFile  char row, an aggregate.json: what the samples are, and where they lie
  %   dataFile       char row, made anew: samples in counts, little-endian, channels interleaved
  %
  % Options ([] is the default)
  %   factor         whole number from 2 on: every so many samples one is kept, from the first of
  %                  each stretch without a seam on
  %   channels       1-based (default: all that are not digital)
  %   precision      'double' (default) or 'single', that of the filter
  %   dtype          'float32' (default), or 'int16': rounded half up and clipped, NaN is 0
  %
  % The low-pass is at -6 dB at 0.4 of the new rate, and below -50 dB from 0.6 on, which would be
  % taken for less than 0.4.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, signalOptions:unknownOption, eventOptions:badValue,
  %   writeDownsampled:badFactor, writeDownsampled:unknownRate, writeDownsampled:conflict,
  %   writeSamples:badDtype, writeSamples:cannotWrite, closeFile:incomplete
  %
  % Example: local field potentials at 1 kHz, of 30 kHz.
  %   writeDownsampled('aggregate.json', 'downsampled.bin', 'factor', 30);

  aggregate = readAggregate(aggregateFile);
  own = struct('dtype', 'float32', 'factor', 0);
  [options, own] = signalOptions(aggregate, varargin, own);
  factor = own.factor;
  if ~isscalar(factor) || ~isnumeric(factor) || factor < 2 || factor ~= floor(factor)
    error('writeDownsampled:badFactor', '%s', 'factor must be a whole number from 2 on');
  end
  if ~isempty(options.low) || ~isempty(options.high) || any(options.labels)
    error('writeDownsampled:conflict', '%s', ...
          'the factor says the band; low, high and reference are no options here');
  end
  if isnan(aggregate.samplingRateHz)
    error('writeDownsampled:unknownRate', '%s', ...
          [aggregateFile ' does not say the sampling rate, by which the filter is made']);
  end
  corner = 0.4 * aggregate.samplingRateHz / factor;
  plan = planFilter(aggregate, options.channels, [], corner, 0, options.precision);
  output = openFile(dataFile, 'w');
  closing = onCleanup(@() closeFile(output));
  blocks = planBlocks(plan, plan.stretches);
  written = 0;
  for k = 1:size(blocks, 1)
    first = blocks(k, 1);
    block = readFiltered(plan, first, blocks(k, 2));
    origin = plan.stretches(find(plan.stretches(:, 1) <= first, 1, 'last'), 1);
    block = block(mod(origin - first, factor) + 1:factor:end, :);
    written = written + writeSamples(output, dataFile, block, own.dtype);
  end
  closeFile(output, dataFile, written);
end
