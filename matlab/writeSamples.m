function bytes = writeSamples(fid, name, block, dtype)
  % WRITESAMPLES adds samples to a file, channels interleaved.
  %
  %   bytes = writeSamples(fid, name, block, dtype)
  %
  % Inputs
  %   fid    file identifier, as of openFile
  %   name   char row, the file, for messages
  %   block  samples x channels double
  %   dtype  'float32', or 'int16': rounded half up and clipped, NaN is 0
  %
  % Output
  %   bytes  how many were written
  %
  % Errors: writeSamples:badDtype, writeSamples:cannotWrite
  %
  % Example: two samples of three channels.
  %   fid = openFile('data.bin', 'w');
  %   closing = onCleanup(@() closeFile(fid));
  %   bytes = writeSamples(fid, 'data.bin', [1 2 3; 4 5 6], 'int16');

  switch dtype
    case 'float32'
      values = single(block');
      bytes = 4 * numel(values);
    case 'int16'
      % A cast alone rounds halves away from 0. It clips, and makes 0 of NaN.
      values = int16(floor(block' + 0.5));
      bytes = 2 * numel(values);
    otherwise
      error('writeSamples:badDtype', '%s', ['dtype ' dtype ' is neither float32 nor int16']);
  end
  if fwrite(fid, values, class(values), 0, 'ieee-le') ~= numel(values)
    error('writeSamples:cannotWrite', '%s', ['cannot write to ' name '; is the disk full?']);
  end
end
