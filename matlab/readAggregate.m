function aggregate = readAggregate(aggregateFile)
  % READAGGREGATE reads what the samples of a group are, and in which files they lie.
  %
  %   aggregate = readAggregate(aggregateFile)
  %
  % Input
  %   aggregateFile  char row, an aggregate.json
  %
  % Output
  %   aggregate      struct with fields
  %     file            char row, aggregateFile
  %     dtype           'uint8', 'int8', 'uint16', 'int16', 'int32', 'float32' or 'float64'
  %     channels        number of channels
  %     kinds           channels x 1 cell: 'ap', 'lf', 'analog', 'aux', 'digital' or 'unknown'
  %     x, y, shanks    columns, position (um) and shank of each channel, NaN where not known
  %     samples         number of samples per channel
  %     sampleBytes     bytes of one sample of all channels
  %     segments        column, 0-based samples at which a stretch without a gap begins
  %     samplingRateHz  samples per second, NaN if that is not known
  %     blockSamples    samples that fit a block of 2^18 values: what readBlock reads at once
  %     parts           struct array, in order: file (char row), offset (bytes before the first
  %                     sample), firstSample (0-based, in the group), samples
  %
  % The files of the parts are there, and as long as it says; they are only read.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort
  %
  % Example: the largest value of all channels and samples.
  %   aggregate = readAggregate('aggregate.json');
  %   highest = -inf;
  %   for first = 0:aggregate.blockSamples:aggregate.samples - 1
  %     block = readBlock(aggregate, first);
  %     highest = max(highest, max(block(:)));
  %   end

  fid = openFile(aggregateFile, 'r');
  closing = onCleanup(@() closeFile(fid));
  bytes = fread(fid, inf, '*uint8')';
  try
    % Not fileread, whose encoding is that of the system in older releases of Matlab.
    aggregate = describe(aggregateFile, jsondecode(native2unicode(bytes, 'UTF-8')));
  catch e
    error('readAggregate:badFormat', '%s', ...
          [aggregateFile ' is no aggregate.json (' e.message '); make Aggregate again']);
  end
  parts = aggregate.parts;
  ends = [parts.offset] + [parts.samples] * aggregate.sampleBytes;
  [names, ~, indices] = unique({parts.file});
  for k = 1:numel(names)
    checkFile(names{k}, max(ends(indices == k)), aggregateFile);
  end
end

function aggregate = describe(aggregateFile, content)
  aggregate.file = aggregateFile;
  aggregate.dtype = content.dtype;
  if isnumeric(content.channels)
    % How many there are, if no header says what each is.
    content.channels = repmat({struct()}, content.channels, 1);
  end
  aggregate.kinds = valuesOf(content.channels, 'kind', 'unknown');
  aggregate.x = numbersOf(content.channels, 'x');
  aggregate.y = numbersOf(content.channels, 'y');
  aggregate.shanks = numbersOf(content.channels, 'shank');
  aggregate.channels = numel(aggregate.kinds);
  valueBytes = struct('uint8', 1, 'int8', 1, 'uint16', 2, 'int16', 2, 'int32', 4, ...
                      'float32', 4, 'float64', 8);
  aggregate.sampleBytes = valueBytes.(aggregate.dtype) * aggregate.channels;
  aggregate.segments = content.segments(:);
  aggregate.samplingRateHz = NaN;
  if isfield(content, 'sampling_rate_hz')
    aggregate.samplingRateHz = content.sampling_rate_hz;
  end
  aggregate.blockSamples = max(1, floor(2^18 / aggregate.channels));
  if ~isfield(content, 'parts')
    % Earlier releases made a copy of all samples, beside the file.
    samples = valuesOf(content.recordings, 'samples', 0);
    content.parts = struct('path', 'aggregate.bin', 'offset', 0, 'samples', sum([samples{:}]));
  end
  aggregate.parts = locate(content, fileparts(aggregateFile));
  aggregate.samples = sum([aggregate.parts.samples]);
end

function parts = locate(content, folder)
  files = valuesOf(content.parts, 'path', '');
  roots = valuesOf(content.parts, 'root', '');
  for k = 1:numel(files)
    if ~isempty(roots{k})
      files{k} = joined(content.roots.(roots{k}), files{k});
    end
    files{k} = joined(folder, files{k});
  end
  samples = valuesOf(content.parts, 'samples', 0);
  firstSamples = reshape(num2cell(cumsum([samples{:}]) - [samples{:}]), [], 1);
  parts = struct('file', files, 'offset', valuesOf(content.parts, 'offset', 0), ...
                 'firstSample', firstSamples, 'samples', samples);
end

function values = valuesOf(list, name, default)
  % Returns a field of each object of a list: a column of cells. jsondecode makes a struct array of
  % objects that have the same fields, and a cell of others.
  if isstruct(list)
    list = num2cell(list);
  end
  values = repmat({default}, numel(list), 1);
  for k = 1:numel(list)
    if isfield(list{k}, name)
      values{k} = list{k}.(name);
    end
  end
end

function values = numbersOf(list, name)
  % Returns a field of each object of a list: a column, NaN where it is null, or is not there.
  values = valuesOf(list, name, NaN);
  values(cellfun(@isempty, values)) = {NaN};
  values = reshape([values{:}], [], 1);
end

function name = joined(folder, name)
  isAbsolute = any(name(1) == '/\') || (ispc && numel(name) > 1 && name(2) == ':');
  if ~isAbsolute
    name = fullfile(folder, name);
  end
end

function checkFile(name, bytes, aggregateFile)
  [fid, message] = fopen(name, 'r');
  if fid < 0
    error('readAggregate:noFile', '%s', ...
          ['cannot open ' name ', which ' aggregateFile ' names: ' message ...
           '; if it was moved, make Aggregate again']);
  end
  closing = onCleanup(@() closeFile(fid));
  fseek(fid, 0, 'eof');
  if ftell(fid) < bytes
    error('readAggregate:tooShort', '%s', ...
          [name ' ends before the samples that ' aggregateFile ...
           ' names; if it was changed, make Aggregate again']);
  end
end
