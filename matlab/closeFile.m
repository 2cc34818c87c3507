function closeFile(fid, name, expectedBytes)
  % CLOSEFILE closes a file, and makes sure that what was written to it has arrived.
  %
  %   closeFile(fid)
  %   closeFile(fid, name, expectedBytes)
  %
  % Inputs
  %   fid            file identifier; one that is closed already is left alone
  %   name           char row, the file that was written
  %   expectedBytes  the size that it must have now
  %
  % A full disk may show only here: small writes are kept back until the file is closed.
  %
  % Errors: closeFile:incomplete, openFile:cannotOpen
  %
  % Example
  %   closeFile(fid, 'aggregate.bin', 200);

  if any(fopen('all') == fid)
    fclose(fid);
  end
  if nargin == 3
    % Not dir, which takes * in a name for any characters.
    fid = openFile(name, 'r');
    fseek(fid, 0, 'eof');
    written = ftell(fid);
    fclose(fid);
    if written ~= expectedBytes
      error('closeFile:incomplete', '%s', ...
            [name ' has ' sprintf('%.0f', written) ' of ' sprintf('%.0f', expectedBytes) ...
             ' bytes after writing; is the disk full?']);
    end
  end
end
