function [samples, channels] = readEdges(edgesFile)
  % READEDGES reads the edges that findRisingEdges wrote, counted from 1 as Matlab counts.
  %
  %   [samples, channels] = readEdges(edgesFile)
  %
  % Input
  %   edgesFile  char row, a NumPy file of int64, rows of 0-based (sample, channel)
  %
  % Outputs
  %   samples    edges x 1 double, 1-based sample of each edge
  %   channels   edges x 1 double, 1-based channel of each edge
  %
  % Errors: openFile:cannotOpen, readEdges:badFormat
  %
  % Example: the value at each edge of a recording of one channel x is x(samples).
  %   [samples, channels] = readEdges('edges.npy');

  fid = openFile(edgesFile, 'r');
  closing = onCleanup(@() closeFile(fid));
  header = fread(fid, 128, '*uint8')';
  text = char(header(11:end));
  shape = regexp(text, '''fortran_order'': False, ''shape'': \((\d+), 2\)', 'tokens', 'once');
  magic = [uint8(147), uint8('NUMPY'), uint8([1, 0, 118, 0])];
  if isempty(shape) || ~isequal(header(1:10), magic) || isempty(strfind(text, '<i8'))
    error('readEdges:badFormat', '%s', [edgesFile ' is not a file of edges (.npy, int64, n x 2)']);
  end
  edges = str2double(shape{1});
  [rows, values] = fread(fid, [2, edges], 'int64=>double');
  if values ~= 2 * edges
    error('readEdges:badFormat', '%s', [edgesFile ' is cut short']);
  end
  rows = reshape(rows, 2, edges);  % without edges, fread gives 0 x 0
  samples = rows(1, :)' + 1;
  channels = rows(2, :)' + 1;
end
