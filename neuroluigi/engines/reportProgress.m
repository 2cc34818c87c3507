function reportProgress(k, n, message)
  % REPORTPROGRESS reports the progress of a step: k of n, with a message.
  %
  %   reportProgress(k, n, message)
  %   reportProgress(k, n)
  %
  % k        number of parts that are done
  % n        number of all parts
  % message  char row, such as the file that is read
  %
  % In a step of the pipeline the run shows it; in a call by hand it is printed. Call it as often as
  % you like: only the latest report is kept.
  %
  % Example
  %   reportProgress(3, 10, 'rec_3.bin')   % prints: 3/10 rec_3.bin
  %
  % Runs on Matlab and on Octave; needs no toolbox.

  if nargin < 3
    message = '';
  end
  session = getenv('NEUROLUIGI_SESSION');
  if isempty(session)
    fprintf('%d/%d %s\n', k, n, message);
    return
  end
  whole = [session filesep() 'progress.json'];
  part = [whole '.part'];
  text = jsonencode(struct('k', k, 'n', n, 'message', char(message)));
  isOctave = exist('OCTAVE_VERSION', 'builtin') ~= 0;
  if isOctave
    bytes = uint8(text);
  else
    bytes = unicode2native(text, 'UTF-8');
  end
  fid = fopen(part, 'w');
  fwrite(fid, bytes, 'uint8');
  fclose(fid);
  if isOctave
    feval('rename', part, whole);
  else
    movefile(part, whole, 'f');
  end
end
