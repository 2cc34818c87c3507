function [options, own] = signalOptions(aggregate, given, own)
  % SIGNALOPTIONS checks which signal of a group a function is asked for, and its other options.
  %
  %   [options, own] = signalOptions(aggregate, given, own)
  %
  % Inputs
  %   aggregate  struct, as of readAggregate
  %   given      cell {name, value, ...}: low, high, reference, channels and precision, as
  %              findEvents takes them, and the function's own options; [] is the default
  %   own        struct, the function's own options with their defaults
  %
  % Outputs
  %   options    struct, as of eventOptions
  %   own        struct, the function's own options as given
  %
  % Errors: signalOptions:unknownOption, eventOptions:badValue
  %
  % Example: the filter of channel 1 from 300 Hz on.
  %   aggregate = readAggregate('aggregate.json');
  %   options = signalOptions(aggregate, {'low', 300, 'channels', 1}, struct());
  %   plan = planFilter(aggregate, options.channels, options.low, options.high, ...
  %                     options.labels, options.precision);

  ofSignal = {'low', 'high', 'reference', 'channels', 'precision'};
  names = fieldnames(own);
  isOwn = false(1, numel(given));
  for k = 1:2:numel(given)
    name = given{k};
    isKnown = ischar(name) && any(strcmp(name, [names; ofSignal(:)])) && k < numel(given);
    if ~isKnown
      error('signalOptions:unknownOption', '%s', ...
            ['options are pairs of a name and a value, and the names are ' ...
             strjoin([names', ofSignal], ', ') '; number ' sprintf('%d', k) ' is none of them']);
    end
    if any(strcmp(name, names))
      isOwn(k:k + 1) = true;
      if ~isempty(given{k + 1})
        own.(name) = given{k + 1};
      end
    end
  end
  options = eventOptions(aggregate, given(~isOwn));
end
