function writeEventSummary(summaryFile, plan, levels, tracker, store, given)
  % WRITEEVENTSUMMARY writes what findEvents found in each channel, and how.
  %
  %   writeEventSummary(summaryFile, plan, levels, tracker, store, given)
  %
  % Inputs
  %   summaryFile  char row, made anew: JSON. count, rate_hz (per second), noise, level, release
  %                (counts) and flag are lists with a value per channel of the group, null where
  %                there is none; band (Hz), taps, reference, noise_from, rejected, open (0-based
  %                rows of events that were open at the end of a stretch), short_stretches (too
  %                short for the filter), parameters
  %   plan         struct, as of planFilter
  %   levels       struct, as of eventLevels
  %   tracker      struct, as of trackCrossings: low, high, noise, rejected
  %   store        struct with count (events per channel of the plan) and open
  %   given        cell {name, value, ...}, the parameters
  %
  % A flag is '', 'not chosen' or 'no noise': a channel without any noise, or any number, has no
  % level, and no events.
  %
  % Errors: openFile:cannotOpen, closeFile:incomplete
  %
  % Example: findEvents has one.

  aggregate = plan.aggregate;
  seconds = aggregate.samples / aggregate.samplingRateHz;
  flags = repmat({'not chosen'}, 1, aggregate.channels);
  flags(plan.channels) = {''};
  flags(plan.channels(isnan(levels.level))) = {'no noise'};
  references = {'none', 'median'};
  parameters = cell(1, floor(numel(given) / 2));
  for k = 1:numel(parameters)
    [name, value] = given{2 * k - 1:2 * k};
    text = valueText(value);
    if isscalar(value) && any(strcmp(name, {'channels', 'reference'}))
      text = ['[' text ']'];
    end
    parameters{k} = [quoted(name) ': ' text];
  end
  fields = {'count', channelText(plan, store.count'); ...
            'rate_hz', channelText(plan, store.count' / seconds); ...
            'noise', channelText(plan, levels.sigma); ...
            'level', channelText(plan, levels.level); ...
            'release', channelText(plan, levels.release); ...
            'flag', ['[' strjoin(cellfun(@quoted, flags, 'UniformOutput', false), ', ') ']']; ...
            'band', ['[' cornerText(tracker.low) ', ' cornerText(tracker.high) ']']; ...
            'taps', numberText(numel(plan.taps)); ...
            'reference', quoted(references{1 + any(plan.labels ~= 0)}); ...
            'noise_from', quoted(levels.noiseFrom); ...
            'rejected', ['{"width": ' numberText(tracker.rejected.width) ', "refractory": ' ...
                         numberText(tracker.rejected.refractory) '}']; ...
            'open', listText(sort(store.open)); ...
            'short_stretches', numberText(plan.shortStretches); ...
            'parameters', ['{' strjoin(parameters, ', ') '}']};
  items = cell(1, size(fields, 1));
  for k = 1:numel(items)
    items{k} = [quoted(fields{k, 1}) ': ' fields{k, 2}];
  end
  text = ['{' strjoin(items, ', ') '}' char(10)];
  output = openFile(summaryFile, 'w');
  closing = onCleanup(@() closeFile(output));
  fwrite(output, uint8(text), 'uint8');
  closeFile(output, summaryFile, numel(text));
end

function text = channelText(plan, values)
  every = nan(1, plan.aggregate.channels);
  every(plan.channels) = values;
  text = listText(every);
end

function text = listText(values)
  text = ['[' strjoin(arrayfun(@numberText, values(:)', 'UniformOutput', false), ', ') ']'];
end

function text = cornerText(corner)
  text = 'null';
  if ~isempty(corner)
    text = numberText(corner);
  end
end

function text = valueText(value)
  if ischar(value)
    text = quoted(value);
  elseif islogical(value) && isscalar(value)
    names = {'false', 'true'};
    text = names{1 + value};
  elseif isscalar(value)
    text = numberText(value);
  elseif isempty(value)
    text = 'null';
  else
    text = listText(value);
  end
end

function text = numberText(value)
  if isnan(value)
    text = 'null';
  elseif isinf(value)
    signs = {'"-Infinity"', '"Infinity"'};
    text = signs{1 + (value > 0)};
  else
    text = sprintf('%.17g', double(value));
  end
end

function text = quoted(value)
  text = ['"' value '"'];
end
