function neuroluigiCall()
  % NEUROLUIGICALL carries out the call that request.json in the current folder describes.
  %
  %   neuroluigiCall()
  %
  % The request names a folder of M-files, a function in it and its arguments, each encoded as
  % {"class": ..., "value": ...} by calls.py. The answer, in answer.json beside it, has ok,
  % identifier, message, stack (file, name, line), seconds, version and release. The file appears
  % whole or not at all. Runs on Matlab and on Octave; needs no toolbox.

  callFolder = pwd();
  isOctave = exist('OCTAVE_VERSION', 'builtin') ~= 0;
  if isOctave
    % Or a SIGTERM leaves a file octave-workspace behind.
    feval('crash_dumps_octave_core', false);
    feval('sigterm_dumps_octave_core', false);
    feval('sighup_dumps_octave_core', false);
  end
  answer = struct('ok', false, 'identifier', '', 'message', '');
  answer.stack = {};
  answer.version = version();
  answer.release = version('-release');
  started = tic();
  try
    request = jsondecode(fileread(fullfile(callFolder, 'request.json')));
    addpath(decodeValue(request.folder));
    arguments_ = decodeValue(request.arguments);
    feval(decodeValue(request.name), arguments_{:});
    answer.ok = true;
  catch e
    answer.identifier = e.identifier;
    answer.message = e.message;
    answer.stack = cell(1, numel(e.stack));
    for k = 1:numel(e.stack)
      frame = e.stack(k);
      answer.stack{k} = struct('file', frame.file, 'name', frame.name, 'line', frame.line);
    end
  end
  answer.seconds = sprintf('%.6f', toc(started));
  writeAnswer(callFolder, jsonencode(answer), isOctave);
end

function value = decodeValue(code)
  switch code.class
    case 'char'
      value = code.value;
    case 'double'
      value = [];
      if ~isempty(code.value)
        value = str2double(code.value);
      end
    case 'logical'
      value = str2double(code.value) == 1;
    case 'int64'
      % Pairs of a high and a low part: value = high * 1e9 + low.
      parts = int64(str2double(code.value));
      value = parts(1:2:end) * int64(1e9) + parts(2:2:end);
    case 'cell'
      value = cell(numel(code.value), 1);
      for k = 1:numel(code.value)
        value{k} = decodeValue(elementOf(code.value, k));
      end
    case 'struct'
      value = struct();
      for k = 1:numel(code.value)
        field = elementOf(code.value, k);
        value.(field.name) = decodeValue(field.value);
      end
    otherwise
      error('neuroluigiCall:badClass', 'class %s can not be decoded', code.class);
  end
end

function element = elementOf(list, k)
  % jsondecode makes a struct array of objects with equal fields and a cell of others.
  if iscell(list)
    element = list{k};
  else
    element = list(k);
  end
end

function writeAnswer(folder, text, isOctave)
  part = fullfile(folder, 'answer.part.json');
  whole = fullfile(folder, 'answer.json');
  if isOctave
    % A char is a byte there, and unicode2native refuses what is not UTF-8.
    bytes = uint8(text);
  else
    bytes = unicode2native(text, 'UTF-8');
  end
  fid = fopen(part, 'w');
  fwrite(fid, bytes, 'uint8');
  fclose(fid);
  if isOctave
    % movefile goes through a shell on Octave.
    feval('rename', part, whole);
  else
    movefile(part, whole, 'f');
  end
end
