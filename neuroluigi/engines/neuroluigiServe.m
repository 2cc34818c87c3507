function neuroluigiServe()
  % NEUROLUIGISERVE carries out calls of M-functions, one after the other, until it is stopped.
  %
  %   neuroluigiServe()
  %
  % The current folder is the session's, made by session.py. Its serve.json has folders (of the
  % M-files, put on the path, the first one first), calls (how many to serve at the most) and
  % idleSeconds (to wait for one). When the session is ready, ready.json has version and release. A
  % call is a file 000001.request.json, 000002.request.json, ... with the name of the function, its
  % arguments, and the names of the values that it returns. The answer, 000001.answer.json, has ok,
  % identifier, message, stack (file, name, line), seconds and values. It appears whole or not at
  % all. A file stop ends the session between two calls.
  %
  % Arguments and values are encoded as values.py describes. The bytes of large arguments are in
  % 000001.request.bin, those of all values in 000001.answer.bin.
  %
  % Each call finds the engine as the first one did. Runs on Matlab and on Octave; needs no toolbox.

  session = [pwd() filesep()];
  isOctave = exist('OCTAVE_VERSION', 'builtin') ~= 0;
  if isOctave
    % Or a SIGTERM leaves a file octave-workspace behind.
    feval('crash_dumps_octave_core', false);
    feval('sigterm_dumps_octave_core', false);
    feval('sighup_dumps_octave_core', false);
  end
  plan = jsondecode(fileread([session 'serve.json']));
  folders = decodeValue(plan.folders, '');
  hideShadows(isOctave);
  addpath([session 'prompts']);
  addpath(folders{:}, pwd());
  cd('work');
  clean = stateOf(isOctave);
  tidyUp(clean, isOctave);
  resetState(clean, isOctave);
  ready = struct('version', version(), 'release', version('-release'));
  writeText([session 'ready.json'], jsonencode(ready), isOctave);

  call = '';
  for number = 1:plan.calls
    before = call;
    call = sprintf('%s%06d.', session, number);
    if ~waitFor(session, call, before, plan.idleSeconds)
      return
    end
    answer = carryOut(call, isOctave);
    if isOctave
      % Or tidyUp may be one call too many.
      builtin('max_recursion_depth', clean.settings.max_recursion_depth);
    end
    tidyUp(clean, isOctave);
    flushOutput(isOctave);
    writeText([call 'answer.json'], jsonencode(answer), isOctave);
    % While the caller goes on.
    resetState(clean, isOctave);
  end
end

function isThere = waitFor(session, call, before, idleSeconds)
  % Often while the next call is likely to come soon, seldom later on. The pauses are counted: toc
  % goes by the clock of the wall, which may be set.
  request = [call 'request.json'];
  stop = [session 'stop'];
  waited = 0;
  pauseSeconds = 0.002;
  isThere = isfile(request);
  while ~isThere && ~isfile(stop) && waited < idleSeconds
    builtin('pause', pauseSeconds);
    waited = waited + pauseSeconds;
    if waited > 1
      pauseSeconds = min(0.05, pauseSeconds * 1.1);
      if isLost(session, before)
        return
      end
    end
    isThere = isfile(request);
  end
end

function lost = isLost(session, call)
  % Whether something removed what the caller has not seen: that the session is ready, or the answer
  % to the last call. The caller removes the request first: looked for in the other order, an answer
  % that was just read would be taken as lost.
  lost = ~isfile([session 'ready.json']) || ...
         (~isempty(call) && ~isfile([call 'answer.json']) && isfile([call 'request.json']));
end

function answer = carryOut(call, isOctave)
  answer = struct('ok', false, 'identifier', '', 'message', '');
  answer.stack = {};
  answer.values = {};
  started = tic();
  try
    request = jsondecode(fileread([call 'request.json']));
    inputs = decodeValue(request.arguments, [call 'request.bin']);
    outputs = cell(1, numel(request.returns));
    if isempty(outputs)
      feval(request.name, inputs{:});
    else
      [outputs{:}] = feval(request.name, inputs{:});
      answer.values = encodeValues(outputs, request.returns, [call 'answer.bin'], isOctave);
    end
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

function clean = stateOf(isOctave)
  % STATEOF notes what tidyUp sets again after each call.
  clean = struct('folder', pwd(), 'path', path(), 'warnings', warning());
  % With the first value, Octave gives the root the property that has them all.
  setappdata(0, 'neuroluigi', true);
  clean.appdata = appdataOf(isOctave);
  clean.defaults = get(0, 'Default');
  % What can be set of the graphics root; some of it only by the user, or with an effect.
  clean.root = struct();
  root = get(0);
  for name = setdiff(lower(fieldnames(root)).', {'children', 'currentfigure', 'callbackobject', ...
                                                 'parent', 'pointerlocation', 'diary', 'diaryfile'})
    try
      value = get(0, name{1});
      set(0, name{1}, value);
      clean.root.(name{1}) = value;
    catch
      % It can't be set.
    end
  end
  clean.settings = struct();
  if isOctave
    for name = octaveSettings()
      if exist(name{1}, 'builtin')
        clean.settings.(name{1}) = feval(name{1});
      end
    end
  end
  % fieldnames is an M-file, which each call would read again.
  clean.names = fieldnames(clean.settings).';
end

function hideShadows(isOctave)
  % HIDESHADOWS has no warning be printed of functions that stand for others.
  if isOctave
    warning('off', 'Octave:shadowed-function');
  else
    warning('off', 'MATLAB:dispatcher:nameConflict');
  end
end

function names = octaveSettings()
  names = {'EDITOR', 'EXEC_PATH', 'IMAGE_PATH', 'PAGER', 'PS4', 'beep_on_error', ...
           'completion_append_char', 'confirm_recursive_rmdir', 'crash_dumps_octave_core', ...
           'debug_java', 'debug_on_error', 'debug_on_interrupt', 'debug_on_warning', ...
           'doc_cache_file', 'fixed_point_format', 'ignore_function_time_stamp', 'info_file', ...
           'info_program', 'java_matrix_autoconversion', 'java_unsigned_autoconversion', ...
           'max_recursion_depth', 'max_stack_depth', 'missing_component_hook', ...
           'missing_function_hook', 'octave_core_file_limit', 'octave_core_file_name', ...
           'octave_core_file_options', 'optimize_diagonal_matrix', ...
           'optimize_permutation_matrix', 'optimize_range', 'output_precision', ...
           'page_output_immediately', 'page_screen_output', 'print_empty_dimensions', ...
           'print_struct_array_contents', 'save_default_options', 'save_precision', ...
           'sighup_dumps_octave_core', 'sigquit_dumps_octave_core', ...
           'sigterm_dumps_octave_core', 'sparse_auto_mutate', 'split_long_rows', ...
           'string_fill_char', 'struct_levels_to_print', 'suppress_verbose_help_message', ...
           'svd_driver', 'texi_macros_file'};
end

function tidyUp(clean, isOctave)
  % Figures and cleared objects may run code of the user: the rest comes after them.
  set(0, 'ShowHiddenHandles', 'on');
  figures = get(0, 'Children');
  if ~isempty(figures)
    try
      delete(figures);
    catch e
      fprintf(2, '%s\n', e.message);
    end
  end
  if isOctave
    evalin('base', 'clear all');
  else
    timers = feval('timerfindall');
    if ~isempty(timers)
      delete(timers);
    end
    evalin('base', 'clear classes');
  end
  fclose('all');
  diary('off');
  % Octave looks through the whole path anew when it changes folder.
  if ~strcmp(pwd(), clean.folder)
    cd(clean.folder);
  end
  if ~strcmp(path(), clean.path)
    hideShadows(isOctave);
    path(clean.path);
  end
end

function resetState(clean, isOctave)
  % Kinds that are not in the list have their default.
  warning('on');
  warning(clean.warnings);
  resetGraphics(clean, isOctave);
  if isOctave
    % Through builtin: the M-files of a lab may have functions of these names.
    builtin('format');
    for name = clean.names
      builtin(name{1}, clean.settings.(name{1}));
    end
    for name = {'rand', 'randn', 'rande', 'randg', 'randp'}
      builtin(name{1}, 'seed', 0);
      builtin(name{1}, 'state', 0);
    end
    lasterror('reset');
  else
    feval('rng', 0, 'twister');
    lasterr('');
  end
  lastwarn('', '');
end

function resetGraphics(clean, isOctave)
  for name = fieldnames(get(0, 'Default')).'
    set(0, name{1}, 'remove');
  end
  for name = fieldnames(clean.defaults).'
    set(0, name{1}, clean.defaults.(name{1}));
  end
  for name = fieldnames(clean.root).'
    set(0, name{1}, clean.root.(name{1}));
  end
  for name = fieldnames(appdataOf(isOctave)).'
    if ~isfield(clean.appdata, name{1})
      rmappdata(0, name{1});
    end
  end
end

function appdata = appdataOf(isOctave)
  if isOctave
    % getappdata is an M-file there, which each call would read again.
    appdata = get(0, '__appdata__');
  else
    appdata = getappdata(0);
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

function value = decodeValue(node, dataFile)
  if isfield(node, 'text')
    value = node.text;
    return
  end
  shape = sscanf(node.shape, '%dx').';
  switch node.class
    case 'cell'
      value = reshape(decodeList(node.value, dataFile), shape);
    case 'struct'
      % An empty list is no cell after jsondecode.
      fields = cell(numel(node.fields), 1);
      fields(:) = node.fields;
      values = reshape(decodeList(node.value, dataFile), [numel(fields) prod(shape)]);
      value = reshape(cell2struct(values, fields, 1), shape);
    otherwise
      value = decodeArray(node, shape, dataFile);
  end
end

function values = decodeList(nodes, dataFile)
  % jsondecode makes a struct array of objects with equal fields and a cell of others.
  values = cell(numel(nodes), 1);
  for k = 1:numel(nodes)
    if iscell(nodes)
      values{k} = decodeValue(nodes{k}, dataFile);
    else
      values{k} = decodeValue(nodes(k), dataFile);
    end
  end
end

function value = decodeArray(node, shape, dataFile)
  count = prod(shape) * (1 + isfield(node, 'complex'));
  if isfield(node, 'offset')
    fid = fopen(dataFile, 'r', 'ieee-le');
    if fid < 0
      error('neuroluigi:cannotRead', '%s can''t be read: was it removed?', dataFile);
    end
    fseek(fid, str2double(node.offset), 'bof');
    value = fread(fid, count, ['*' node.stored]);
    fclose(fid);
  elseif count == 0
    value = zeros(0, 1, node.stored);
  else
    value = typecast(uint8(sscanf(node.bytes, '%2x')), node.stored);
  end
  if isfield(node, 'complex')
    % Not reshaped as a whole: Octave would drop an imaginary part of zeros.
    value = complex(reshape(value(1:2:end), shape), reshape(value(2:2:end), shape));
  else
    value = reshape(value, shape);
  end
  if strcmp(node.class, 'logical')
    value = logical(value);
  elseif strcmp(node.class, 'char')
    value = char(value);
  end
end

function nodes = encodeValues(values, names, dataFile, isOctave)
  fid = fopen(dataFile, 'w', 'ieee-le');
  if fid < 0
    error('neuroluigi:cannotWrite', '%s can''t be written: was its folder removed?', dataFile);
  end
  closing = onCleanup(@() fclose(fid));
  nodes = cell(1, numel(values));
  for k = 1:numel(values)
    nodes{k} = encodeValue(values{k}, names{k}, fid, isOctave);
  end
end

function node = encodeValue(value, name, fid, isOctave)
  kind = class(value);
  shape = sprintf('%dx', size(value));
  node = struct('class', kind, 'shape', shape(1:end - 1));
  switch kind
    case 'cell'
      parts = cell(1, numel(value));
      for k = 1:numel(value)
        parts{k} = encodeValue(value{k}, sprintf('%s{%d}', name, k), fid, isOctave);
      end
      node.value = parts;
    case 'struct'
      fields = fieldnames(value).';
      values = struct2cell(value(:));
      parts = cell(1, numel(values));
      for k = 1:numel(values)
        field = fields{mod(k - 1, numel(fields)) + 1};
        parts{k} = encodeValue(values{k}, [name '.' field], fid, isOctave);
      end
      node.fields = fields;
      node.value = parts;
    case {'double', 'single', 'logical', 'char', ...
          'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'}
      if issparse(value)
        error('neuroluigi:noFormat', ...
              '%s is a sparse matrix, which no file holds: return full(...) of it', name);
      end
      node.stored = kind;
      if strcmp(kind, 'logical') || (strcmp(kind, 'char') && isOctave)
        % A char is a byte of UTF-8 there, and a unit of UTF-16 in Matlab.
        node.stored = 'uint8';
      elseif strcmp(kind, 'char')
        node.stored = 'uint16';
      end
      node.offset = sprintf('%d', ftell(fid));
      if ~isreal(value)
        node.complex = 'yes';
        % Not value(:): of a scalar, Octave would drop the sign of an imaginary part of zero.
        value = [reshape(real(value), 1, []); reshape(imag(value), 1, [])];
      end
      writeAll(fid, value, node.stored);
    otherwise
      error('neuroluigi:noFormat', ...
            ['%s is a %s, which no file holds: return numbers, text, structs or cells in its' ...
             ' place, such as func2str(...) of a function, struct(...) of an object,' ...
             ' table2struct(...) of a table, cellstr(...) of strings'], name, kind);
  end
end

function writeAll(fid, values, kind)
  % The last bytes may wait in memory until they are asked for.
  if fwrite(fid, values, kind) ~= numel(values) || fseek(fid, 0, 'cof') ~= 0
    error('neuroluigi:cannotWrite', '%s can''t be written: is the disk full?', fopen(fid));
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
  if fid < 0
    error('neuroluigi:cannotWrite', '%s can''t be written: was its folder removed?', whole);
  end
  writeAll(fid, bytes, 'uint8');
  fclose(fid);
  if isOctave
    % movefile goes through a shell on Octave.
    feval('rename', part, whole);
  else
    movefile(part, whole, 'f');
  end
end
