function fid = openFile(name, permission)
  % OPENFILE opens a little-endian binary file, or fails with a message that names it.
  %
  %   fid = openFile(name, permission)
  %
  % Inputs
  %   name        char row, the file
  %   permission  'r', 'w' or 'w+', as of fopen
  %
  % Output
  %   fid         file identifier, never -1
  %
  % Errors: openFile:cannotOpen
  %
  % Example
  %   fid = openFile('rec_0.bin', 'r');
  %   closing = onCleanup(@() closeFile(fid));

  [fid, message] = fopen(name, permission, 'ieee-le');
  if fid < 0
    error('openFile:cannotOpen', '%s', ['cannot open ' name ': ' message]);
  end
end
