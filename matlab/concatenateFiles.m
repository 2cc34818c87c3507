function concatenateFiles(inputFiles, outputFile, headerBytes, dataBytes)
  % CONCATENATEFILES writes the data of several files, one after the other, into one.
  %
  %   concatenateFiles(inputFiles, outputFile)
  %   concatenateFiles(inputFiles, outputFile, headerBytes)
  %   concatenateFiles(inputFiles, outputFile, headerBytes, dataBytes)
  %
  % Inputs
  %   inputFiles   cell of char rows, the files in order
  %   outputFile   char row, made anew
  %   headerBytes  bytes to leave out at the start: one number, or one per file (default 0)
  %   dataBytes    bytes to take after the header, one number per file (default: all)
  %
  % Bytes are copied as they are, a part of each file at a time.
  %
  % Errors: openFile:cannotOpen, concatenateFiles:tooShort, concatenateFiles:cannotWrite,
  %   closeFile:incomplete
  %
  % Example: two files of 100 bytes give one of 200.
  %   concatenateFiles({'rec_0.bin', 'rec_2.bin'}, 'aggregate.bin');

  if nargin < 3
    headerBytes = 0;
  end
  if isscalar(headerBytes)
    headerBytes = repmat(headerBytes, numel(inputFiles), 1);
  end
  if nargin < 4
    dataBytes = inf(numel(inputFiles), 1);
  end
  output = openFile(outputFile, 'w');
  closing = onCleanup(@() closeFile(output));
  total = 0;
  for k = 1:numel(inputFiles)
    total = total + appendFile(output, outputFile, inputFiles{k}, headerBytes(k), dataBytes(k));
  end
  closeFile(output, outputFile, total);
end

function copied = appendFile(output, outputFile, inputFile, headerBytes, dataBytes)
  input = openFile(inputFile, 'r');
  closing = onCleanup(@() closeFile(input));
  fseek(input, 0, 'eof');
  following = ftell(input) - headerBytes;
  if following < 0 || fseek(input, headerBytes, 'bof') ~= 0
    error('concatenateFiles:tooShort', '%s', ...
          [inputFile ' is shorter than its header of ' sprintf('%.0f', headerBytes) ' bytes']);
  end
  if isinf(dataBytes)
    dataBytes = following;
  end
  % Eight bytes as one number: Octave takes a third less time for them than for single bytes.
  there = min(following, dataBytes);
  copied = 8 * copyValues(input, output, outputFile, 'uint64', floor(there / 8));
  copied = copied + copyValues(input, output, outputFile, 'uint8', there - copied);
  if copied < dataBytes
    error('concatenateFiles:tooShort', '%s', ...
          [inputFile ' ended after ' sprintf('%.0f', copied) ' of ' ...
           sprintf('%.0f', dataBytes) ' bytes of data']);
  end
end

function copied = copyValues(input, output, outputFile, kind, count)
  blockValues = 2^17;  % larger blocks are no faster, smaller ones slower
  copied = 0;
  while copied < count
    block = fread(input, min(blockValues, count - copied), ['*' kind]);
    if isempty(block)
      break
    end
    if fwrite(output, block, kind) ~= numel(block)
      error('concatenateFiles:cannotWrite', '%s', ...
            ['cannot write to ' outputFile '; is the disk full?']);
    end
    copied = copied + numel(block);
  end
end
