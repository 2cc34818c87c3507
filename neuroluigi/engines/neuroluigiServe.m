function neuroluigiServe()
  % NEUROLUIGISERVE carries out calls of M-functions, one after the other, until it is stopped.
  %
  %   neuroluigiServe()
  %
  % The current folder is the session's, made by session.py. Its serve.json has folders (of the
  % M-files, put on the path, the first one first), calls (how many to serve at the most) and
  % idleSeconds (to wait for one). When the session is ready, ready.json has version and release. A
  % call is a file 000001.request.json, 000002.request.json, ... with the name of the function and
  % its arguments, each encoded as {"class": ..., "value": ...} by call.py. The answer,
  % 000001.answer.json, has ok, identifier, message, stack (file, name, line) and seconds. It
  % appears whole or not at all. A file stop ends the session between two calls.
  %
  % Each call finds current folder, path, warning states, files and figures as the first one did.
  % Runs on Matlab and on Octave; needs no toolbox.

  session = [pwd() filesep()];
  isOctave = exist('OCTAVE_VERSION', 'builtin') ~= 0;
  if isOctave
    % Or a SIGTERM leaves a file octave-workspace behind.
    feval('crash_dumps_octave_core', false);
    feval('sigterm_dumps_octave_core', false);
    feval('sighup_dumps_octave_core', false);
  end
  plan = jsondecode(fileread([session 'serve.json']));
  folders = decodeValue(plan.folders);
  addpath(folders{:}, pwd());
  cd('work');
  clean = struct('folder', pwd(), 'path', path(), 'warnings', warning());
  ready = struct('version', version(), 'release', version('-release'));
  writeText([session 'ready.json'], jsonencode(ready), isOctave);

  for number = 1:plan.calls
    call = sprintf('%s%06d.', session, number);
    if ~waitFor([call 'request.json'], [session 'stop'], plan.idleSeconds)
      return
    end
    answer = carryOut([call 'request.json']);
    tidyUp(clean);
    flushOutput(isOctave);
    writeText([call 'answer.json'], jsonencode(answer), isOctave);
  end
end

function isThere = waitFor(request, stop, idleSeconds)
  % Often while the next call is likely to come soon, seldom later on.
  waited = tic();
  pauseSeconds = 0.002;
  isThere = isfile(request);
  while ~isThere && ~isfile(stop) && toc(waited) < idleSeconds
    pause(pauseSeconds);
    if toc(waited) > 1
      pauseSeconds = min(0.05, pauseSeconds * 1.1);
    end
    isThere = isfile(request);
  end
end

function answer = carryOut(requestFile)
  answer = struct('ok', false, 'identifier', '', 'message', '');
  answer.stack = {};
  started = tic();
  try
    request = jsondecode(fileread(requestFile));
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
end

function tidyUp(clean)
  fclose('all');
  if ~isempty(get(0, 'Children'))
    close('all', 'force');
  end
  % Octave looks through the whole path anew when it changes folder.
  if ~strcmp(pwd(), clean.folder)
    cd(clean.folder);
  end
  if ~strcmp(path(), clean.path)
    path(clean.path);
  end
  if ~isequal(warning(), clean.warnings)
    % Kinds that are not in the list have their default.
    warning('on');
    warning(clean.warnings);
  end
end

function flushOutput(isOctave)
  if isOctave
    feval('fflush', feval('stdout'));
    feval('fflush', feval('stderr'));
  else
    % Matlab may hold its output back until then.
    drawnow();
  end
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
      error('neuroluigiServe:badClass', 'class %s can not be decoded', code.class);
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

function writeText(whole, text, isOctave)
  part = [whole '.part'];
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
