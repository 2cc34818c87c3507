function text = jsonText(value)
  % JSONTEXT returns a value as JSON, with all digits of its numbers.
  %
  %   text = jsonText(value)
  %
  % Input
  %   value  char row; number or logical; array of them, which becomes a list; cell of values, which
  %          becomes a list also if it has one or none; struct of values
  %
  % Output
  %   text   char row. NaN and [] are null, infinite numbers are "Infinity" and "-Infinity"
  %
  % jsonencode of Octave 7 writes small numbers as 0.
  %
  % Example: {"low": 300, "channels": [1]}
  %   text = jsonText(struct('low', 300, 'channels', {{1}}));

  if ischar(value)
    text = quoted(value);
  elseif isstruct(value)
    names = fieldnames(value);
    items = cell(1, numel(names));
    for k = 1:numel(names)
      items{k} = [quoted(names{k}) ': ' jsonText(value.(names{k}))];
    end
    text = ['{' strjoin(items, ', ') '}'];
  elseif iscell(value)
    items = reshape(cellfun(@jsonText, value, 'UniformOutput', false), 1, []);
    text = ['[' strjoin(items, ', ') ']'];
  elseif numel(value) > 1
    text = jsonText(num2cell(value));
  elseif isempty(value) || isnan(value)
    text = 'null';
  elseif islogical(value)
    names = {'false', 'true'};
    text = names{1 + value};
  elseif isinf(value)
    names = {'"-Infinity"', '"Infinity"'};
    text = names{1 + (value > 0)};
  else
    text = sprintf('%.17g', double(value));
  end
end

function text = quoted(value)
  value = strrep(strrep(value, '\', '\\'), '"', '\"');
  text = ['"' value '"'];
end
