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
  % Errors: closeFile:incomplete
  %
  % Example
  %   closeFile(fid, 'aggregate.bin', 200);

  if any(fopen('all') == fid)
    fclose(fid);
  end
  if nargin == 3
    entry = dir(name);
    if numel(entry) ~= 1 || entry.bytes ~= expectedBytes
      written = 0;
      if numel(entry) == 1
        written = entry.bytes;
      end
      error('closeFile:incomplete', '%s', ...
            [name ' has ' sprintf('%.0f', written) ' of ' sprintf('%.0f', expectedBytes) ...
             ' bytes after writing; is the disk full?']);
    end
  end
end
