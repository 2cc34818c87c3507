function block = readBlock(fid, name, dtype, channels)
  % READBLOCK reads the next samples of a file that fit a block of 2^18 values.
  %
  %   block = readBlock(fid, name, dtype, channels)
  %
  % Inputs
  %   fid       file identifier, as of openFile
  %   name      char row, the file, for the error message
  %   dtype     'uint8', 'int8', 'uint16', 'int16', 'int32', 'float32' or 'float64'
  %   channels  number of channels
  %
  % Output
  %   block     channels x samples double; no samples at the end of the file
  %
  % Errors: readBlock:partialSample
  %
  % Example: the uint8 file 1 2 3 4 with two channels gives [1 3; 2 4].
  %   block = readBlock(fid, 'aggregate.bin', 'uint8', 2);

  blockSamples = max(1, floor(2^18 / channels));
  [block, values] = fread(fid, [channels, blockSamples], ['*' dtype]);
  if values < channels * blockSamples
    % fread says nothing of bytes left over that make no value.
    valueBytes = numel(typecast(zeros(1, class(block)), 'uint8'));
    fseek(fid, 0, 'eof');
    if mod(ftell(fid), channels * valueBytes) ~= 0
      error('readBlock:partialSample', '%s', ...
            [name ' ends in the middle of a sample of ' sprintf('%d', channels) ' channels']);
    end
  end
  block = reshape(double(block), channels, []);
end
