function findLines(aggregateFile, linesFile, summaryFile, varargin)
  % FINDLINES finds the changes of digital lines, which are bits of the words in some channels.
  %
  %   findLines(aggregateFile, linesFile, summaryFile)
  %   findLines(aggregateFile, linesFile, summaryFile, name, value, ...)
  %
  % Inputs
  %   aggregateFile  char row, an aggregate.json: what the samples are, and where they lie
  %   linesFile      char row, made anew: NumPy file (.npy) of int64, one row (sample, channel, bit,
  %                  value) per change, the first three 0-based, sorted by these; value is 1 for a
  %                  rise and 0 for a fall
  %   summaryFile    char row, made anew: JSON with a list of the bits that were looked at, and how
  %                  often each rose and fell; and those that are high where a stretch begins
  %
  % Options ([] and {} are the default)
  %   words   channels of the words, from 1 (default: the digital ones)
  %   bits    bits that are looked at, from 0, the lowest (default: all)
  %   settle  samples that a new value has to last, of which the first counts (default: 1)
  %   width   ms: only the high phases of that width count, give or take a fifth
  %   field   [first bit, number of bits]: changes of the value of these bits count, in place of
  %           those of each; a row has its first bit, and the new value
  %   names   cell of char rows, one per bit that is looked at, of the first word, then of the
  %           next; '' for none
  %
  % Words are unsigned, whatever the type of the samples. The first sample of a segment, before
  % which samples are missing, has no predecessor, and so no change. What is not over at the end of
  % a segment has no width, and has lasted no longer.
  %
  % Errors: openFile:cannotOpen, readAggregate:badFormat, readAggregate:noFile,
  %   readAggregate:tooShort, findLines:badOption, findLines:badWords, findLines:badBits,
  %   findLines:noWords, findLines:notInteger, findLines:noRate, findLines:cannotWrite,
  %   closeFile:incomplete
  %
  % Example: the words 0 1 3 2 of one channel have rises of bit 0 at the 0-based sample 1 and of
  % bit 1 at 2, and a fall of bit 0 at 3.
  %   findLines('aggregate.json', 'lines.npy', 'lines.json', 'words', 1, 'bits', [0, 1]);

  aggregate = readAggregate(aggregateFile);
  options = readOptions(aggregate, varargin);
  lines = listLines(aggregate, options);
  output = openFile(linesFile, 'w+');
  closingOutput = onCleanup(@() closeFile(output));
  writeHeader(output, linesFile, 0);
  count = 0;
  initial = zeros(3, 0);  % rows: sample, line, value
  if ~isempty(lines.channel)
    [lines, initial, count] = findChanges(aggregate, options, lines, output, linesFile);
  end
  % The number of rows is known only now.
  writeHeader(output, linesFile, count);
  closeFile(output, linesFile, 128 + 32 * count);
  writeSummary(summaryFile, options, lines, initial);
end

function options = readOptions(aggregate, pairs)
  options = struct('words', [], 'bits', [], 'settle', 1, 'width', [], 'field', [], 'names', {{}});
  names = pairs(1:2:end);
  if mod(numel(pairs), 2) == 1 || ~all(cellfun(@ischar, names)) || ...
      ~all(ismember(names, fieldnames(options))) || numel(unique(names)) < numel(names)
    error('findLines:badOption', '%s', ...
          ['the options are pairs of a name and a value, each name once: ' ...
           strjoin(fieldnames(options)', ', ')]);
  end
  for k = 1:2:numel(pairs)
    if ~isempty(pairs{k + 1})
      options.(pairs{k}) = pairs{k + 1};
    end
  end
  checkOptions(options);
  if any(strcmp(aggregate.dtype, {'float32', 'float64'}))
    error('findLines:notInteger', '%s', ...
          [aggregate.file ' has samples of ' aggregate.dtype ...
           ', which have no bits; words are integers']);
  end
  options.wordBits = 8 * aggregate.sampleBytes / aggregate.channels;
  options.bits = sort(options.bits(:)');
  if isempty(options.bits)
    options.bits = 0:options.wordBits - 1;
  end
  if ~isempty(options.field)
    options.bits = options.field(1);
    highest = sum(options.field) - 1;
  else
    highest = max(options.bits);
  end
  if options.bits(1) < 0 || highest >= options.wordBits
    error('findLines:badBits', '%s', ...
          ['the words of ' aggregate.file ' are of ' aggregate.dtype ': their bits are 0 to ' ...
           sprintf('%d', options.wordBits - 1)]);
  end
  options.words = chooseWords(aggregate, options.words);
  if ~isempty(options.width)
    % That of null in the file is [].
    if ~any(isfinite(aggregate.samplingRateHz))
      error('findLines:noRate', '%s', ...
            [aggregate.file ' has no sampling rate, so a width in ms is no number of samples']);
    end
    options.width = max(1, floor(options.width * aggregate.samplingRateHz / 1000 + 0.5));
  end
end

function checkOptions(options)
  if ~all(cellfun(@isnumeric, {options.bits, options.settle, options.width, options.field}))
    problem = 'bits, settle, width and field are numbers';
  elseif ~isscalar(options.settle) || ~isWhole(options.settle) || options.settle < 1
    problem = 'settle is a whole number of samples, from 1';
  elseif ~isempty(options.width) && ~(isscalar(options.width) && options.width > 0 && ...
                                      isfinite(options.width))
    problem = 'width is a time in ms, above 0';
  elseif ~isWhole(options.bits) || numel(unique(options.bits)) < numel(options.bits)
    problem = 'bits are whole numbers, each once';
  elseif any(cellfun(@(name) any(name < 32), options.names))
    problem = 'a name has a control character, such as the end of a line';
  else
    problem = problemOfField(options);
  end
  if ~isempty(problem)
    error('findLines:badOption', '%s', problem);
  end
end

function problem = problemOfField(options)
  problem = '';
  if isempty(options.field)
    return
  end
  if ~isempty(options.bits) || ~isempty(options.width)
    problem = 'bits and width are of single bits: not both with field, of which each value counts';
  elseif numel(options.field) ~= 2 || ~isWhole(options.field) || ...
      options.field(1) < 0 || options.field(2) < 1
    problem = 'field is the first bit, from 0, and the number of bits';
  end
end

function answer = isWhole(numbers)
  answer = all(isfinite(numbers(:)) & numbers(:) == floor(numbers(:)));
end

function words = chooseWords(aggregate, given)
  if isempty(given) && all(strcmp(aggregate.kinds, 'unknown'))
    error('findLines:noWords', '%s', ...
          [aggregate.file ' does not say which of its channels are words of bits; name them: ' ...
           'words']);
  end
  words = find(strcmp(aggregate.kinds, 'digital'))';
  if ~isempty(given)
    words = sort(double(given(:)'));
    isRight = isnumeric(given) && isWhole(words) && words(1) >= 1 && ...
              words(end) <= aggregate.channels && numel(unique(words)) == numel(words);
    if ~isRight
      error('findLines:badWords', '%s', ...
            ['words ' strjoin(arrayfun(@(word) sprintf('%g', word), double(given(:)'), ...
                                       'UniformOutput', false), ', ') ...
             ': words are channels of ' aggregate.file ', each once, counted from 1 to ' ...
             sprintf('%d', aggregate.channels)]);
    end
  end
end

function lines = listLines(aggregate, options)
  % One column of each field per line: those of the first word, then those of the next.
  perWord = numel(options.bits);
  count = perWord * numel(options.words);
  lines.channel = reshape(repmat(options.words, perWord, 1), 1, []);
  lines.bit = repmat(options.bits, 1, numel(options.words));
  lines.bits = 1;
  if ~isempty(options.field)
    lines.bits = options.field(2);
  end
  lines.since = zeros(1, count);  % where the last run of equal values began
  lines.value = zeros(1, count);  % of that run
  lines.state = zeros(1, count);  % of the last run that was long enough
  lines.open = nan(1, count);     % rise of a pulse that has not ended
  lines.initial = zeros(1, count);
  lines.rises = zeros(1, count);
  lines.falls = zeros(1, count);
  if isempty(options.names)
    lines.names = repmat({''}, 1, count);
  elseif numel(options.names) ~= count
    error('findLines:badOption', '%s', ...
          ['there are ' sprintf('%d', numel(options.names)) ' names for ' ...
           sprintf('%d', count) ' bits; give one for each, blank for none']);
  else
    lines.names = options.names;
  end
end

function [lines, initial, count] = findChanges(aggregate, options, lines, output, linesFile)
  segments = unique([0; aggregate.segments(:)])';
  lastWords = zeros(1, numel(options.words));
  initial = zeros(3, 0);
  waiting = zeros(4, 0);
  count = 0;
  for first = 0:aggregate.blockSamples:aggregate.samples - 1
    block = readBlock(aggregate, first);
    last = first + size(block, 2);
    seams = segments(segments >= first & segments < last);
    begins = unique([first, seams]);
    ends = [begins(2:end), last];
    for w = 1:numel(options.words)
      words = mod(block(options.words(w), :), 2^options.wordBits);
      changed = find([lastWords(w), words(1:end - 1)] ~= words);
      lastWords(w) = words(end);
      ofWord = find(lines.channel == options.words(w));
      for k = 1:numel(begins)
        at = changed(changed >= begins(k) - first + 1 & changed < ends(k) - first + 1);
        if any(seams == begins(k))
          values = valueOf(words(begins(k) - first + 1), lines.bit(ofWord), lines.bits);
          lines = beginStretch(lines, ofWord, begins(k), values);
          initial = [initial, [repmat(begins(k), 1, numel(ofWord)); ofWord; values]];
          at = at(at > begins(k) - first + 1);
        end
        [lines, rows] = takeWords(lines, options, ofWord, at - 1 + first, words(at), ends(k));
        waiting = [waiting, rows];
      end
    end
    [waiting, written] = writeBefore(decidedUpTo(lines, options, last), waiting, output, linesFile);
    count = count + written;
  end
  [waiting, written] = writeBefore(inf, waiting, output, linesFile);
  count = count + written;
end

function values = valueOf(words, bit, bits)
  values = mod(floor(words ./ 2.^bit), 2^bits);
end

function lines = beginStretch(lines, which, sample, values)
  % What was not certain by now never happened.
  if sample == 0
    lines.initial(which) = values;
  end
  lines.since(which) = sample;
  lines.value(which) = values;
  lines.state(which) = values;
  lines.open(which) = NaN;
end

function [lines, rows] = takeWords(lines, options, which, samples, words, last)
  rows = zeros(4, 0);
  for k = which
    values = valueOf(words, lines.bit(k), lines.bits);
    isNew = values ~= [lines.value(k), values(1:end - 1)];
    if any(isNew) || lines.value(k) ~= lines.state(k)
      [lines, found, values] = advance(lines, options, k, samples(isNew), values(isNew), last);
      rows = [rows, [found; repmat([lines.channel(k) - 1; lines.bit(k)], 1, numel(found)); values]];
    end
  end
end

function [lines, samples, values] = advance(lines, options, k, samples, values, last)
  % Takes the runs of a line that begin at samples with values, the last one being known up to last;
  % returns the changes that are certain.
  samples = [lines.since(k), samples];
  values = [lines.value(k), values];
  lines.since(k) = samples(end);
  lines.value(k) = values(end);
  isLong = diff([samples, last]) >= options.settle;
  samples = samples(isLong);
  values = values(isLong);
  isChange = values ~= [lines.state(k), values(1:end - 1)];
  isChange = isChange(1:numel(values));
  samples = samples(isChange);
  values = values(isChange);
  if ~isempty(values)
    lines.state(k) = values(end);
  end
  if ~isempty(options.width)
    [lines, samples, values] = keepPulses(lines, options, k, samples, values);
  end
  lines.rises(k) = lines.rises(k) + sum(values > 0);
  lines.falls(k) = lines.falls(k) + sum(values == 0);
end

function [lines, samples, values] = keepPulses(lines, options, k, samples, values)
  % Rises and falls take turns.
  if ~isnan(lines.open(k))
    samples = [lines.open(k), samples];
  elseif ~isempty(values) && values(1) == 0
    % The end of one that was high when the stretch began.
    samples = samples(2:end);
  end
  pulses = reshape(samples(1:2 * floor(numel(samples) / 2)), 2, []);
  lines.open(k) = NaN;
  if mod(numel(samples), 2) == 1
    lines.open(k) = samples(end);
  end
  fits = isOfWidth(pulses(2, :) - pulses(1, :), options.width);
  samples = reshape(pulses(:, fits), 1, []);
  values = repmat([1, 0], 1, sum(fits));
end

function answer = isOfWidth(samples, width)
  answer = abs(samples - width) <= 0.2 * width;
end

function sample = decidedUpTo(lines, options, last)
  % The sample before which no more changes will come, all being known up to last.
  firsts = repmat(last, 1, numel(lines.since));
  isPending = lines.value ~= lines.state;
  firsts(isPending) = lines.since(isPending);
  if ~isempty(options.width)
    ends = repmat(last, 1, numel(firsts));
    ends(lines.value == 0) = lines.since(lines.value == 0);
    shortest = ends - lines.open;
    mayFit = shortest - options.width <= 0.2 * options.width;
    firsts(mayFit) = min(firsts(mayFit), lines.open(mayFit));
  end
  sample = min(firsts);
end

function [waiting, written] = writeBefore(sample, waiting, output, linesFile)
  written = 0;
  if isempty(waiting)
    return
  end
  waiting = sortrows(waiting', 1:3)';
  rows = int64(waiting(:, waiting(1, :) < sample));
  waiting = waiting(:, waiting(1, :) >= sample);
  if fwrite(output, rows, 'int64', 0, 'ieee-le') ~= numel(rows)
    error('findLines:cannotWrite', '%s', ['cannot write to ' linesFile '; is the disk full?']);
  end
  written = size(rows, 2);
end

function writeHeader(fid, name, count)
  % Version 1.0 of the NumPy format, 128 bytes whatever the number of rows.
  text = sprintf('{''descr'': ''<i8'', ''fortran_order'': False, ''shape'': (%.0f, 4), }', count);
  padding = repmat(' ', 1, 117 - numel(text));
  header = [uint8(147), uint8(['NUMPY', char([1, 0, 118, 0]), text, padding, char(10)])];
  fseek(fid, 0, 'bof');
  if fwrite(fid, header, 'uint8') ~= 128
    error('findLines:cannotWrite', '%s', ['cannot write to ' name '; is the disk full?']);
  end
  fseek(fid, 0, 'eof');
end

function writeSummary(summaryFile, options, lines, initial)
  items = cell(1, numel(lines.channel));
  for k = 1:numel(items)
    counts = sprintf('"rises": %.0f, "falls": %.0f', lines.rises(k), lines.falls(k));
    bits = '';
    if lines.bits > 1
      counts = sprintf('"changes": %.0f', lines.rises(k) + lines.falls(k));
      bits = sprintf('"bits": %.0f, ', lines.bits);
    end
    name = strrep(strrep(lines.names{k}, '\', '\\'), '"', '\"');
    items{k} = [sprintf('{"channel": %.0f, "bit": %.0f, ', lines.channel(k) - 1, lines.bit(k)), ...
                bits '"name": "' name '", ' counts ...
                sprintf(', "initial": %.0f}', lines.initial(k))];
  end
  width = 'null';
  if ~isempty(options.width)
    width = sprintf('%.0f', options.width);
  end
  field = 'null';
  if ~isempty(options.field)
    field = listText(options.field);
  end
  bits = [];
  if ~isempty(items)
    bits = options.bits;
  end
  text = ['{"source": "words", "lines": [' strjoin(items, ', ') '], "initial": [' ...
          strjoin(describeInitial(lines, initial), ', ') '], "outside": [], "repeated": 0, ' ...
          '"parameters": {"words": ' listText(options.words - 1) ', "bits": ' listText(bits) ...
          ', "settle": ' sprintf('%.0f', options.settle) ', "width_samples": ' width ...
          ', "field": ' field '}}' char(10)];
  bytes = unicode2native(text, 'UTF-8');
  output = openFile(summaryFile, 'w');
  closingOutput = onCleanup(@() closeFile(output));
  fwrite(output, bytes, 'uint8');
  closeFile(output, summaryFile, numel(bytes));
end

function items = describeInitial(lines, initial)
  % For each stretch and word: the bits that are high at its first sample, if any are, or the value
  % of the field.
  items = {};
  if lines.bits == 1
    initial = initial(:, initial(3, :) > 0);
  end
  keys = [initial(1, :); lines.channel(initial(2, :))]';
  [stretches, ~, which] = unique(keys, 'rows');
  for k = 1:size(stretches, 1)
    found = initial(:, which == k);
    what = ['"bits": ' listText(lines.bit(found(2, :)))];
    if lines.bits > 1
      what = sprintf('"value": %.0f', found(3, :));
    end
    items{k} = [sprintf('{"sample": %.0f, "channel": %.0f, ', stretches(k, 1), ...
                        stretches(k, 2) - 1), what '}'];
  end
end

function text = listText(numbers)
  items = cell(1, numel(numbers));
  for k = 1:numel(numbers)
    items{k} = sprintf('%.0f', numbers(k));
  end
  text = ['[' strjoin(items, ', ') ']'];
end
