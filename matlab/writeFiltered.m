function writeFiltered(aggregateFile, dataFile, varargin)
  % WRITEFILTERED writes the samples of a group, band-passed and referenced, into a file.
  %
  %   writeFiltered(aggregateFile, dataFile)
  %   writeFiltered(aggregateFile, dataFile, name, value, ...)
  %
  % Inputs
  %   aggregateFile  char row, an aggregate.json: what the samples are, and where they lie
  %   dataFile       char row, made anew: samples in counts, little-endian, channels interleaved
  %
  % Options ([] is the default)
  %   low, high      Hz, the corners of a band-pass; one alone is a high-pass or low-pass
  %   reference      'none' (default); 'median': that of the channels is taken off each; or one
  %                  number per channel: 0 none, 1, 2, ... the group whose median is taken off
  %   channels       1-based (default: all that are not digital)
  %   precision      'double' (default) or 'single', that of the filter
  %   dtype          'float32' (default), or 'int16': rounded half up and clipped, NaN is 0
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, signalOptions:unknownOption, eventOptions:badValue,
  %   planFilter:unknownRate, bandPass:badBand, writeSamples:badDtype, writeSamples:cannotWrite,
  %   closeFile:incomplete
  %
  % Example: what a spike sorter reads.
  %   writeFiltered('aggregate.json', 'filtered.bin', 'low', 300, 'dtype', 'int16');

  aggregate = readAggregate(aggregateFile);
  [options, own] = signalOptions(aggregate, varargin, struct('dtype', 'float32'));
  plan = planFilter(aggregate, options.channels, options.low, options.high, options.labels, ...
                    options.precision);
  output = openFile(dataFile, 'w');
  closing = onCleanup(@() closeFile(output));
  blocks = planBlocks(plan, plan.stretches);
  written = 0;
  for k = 1:size(blocks, 1)
    block = readFiltered(plan, blocks(k, 1), blocks(k, 2));
    written = written + writeSamples(output, dataFile, block, own.dtype);
  end
  closeFile(output, dataFile, written);
end
