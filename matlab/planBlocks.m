function blocks = planBlocks(plan, pieces)
  % PLANBLOCKS cuts pieces of a recording into blocks that are best read at once.
  %
  %   blocks = planBlocks(plan, pieces)
  %
  % Inputs
  %   plan    struct, as of planFilter
  %   pieces  pieces x 2, first and last sample (exclusive, 0-based) of each, without a seam in it
  %
  % Output
  %   blocks  blocks x 2, likewise
  %
  % They are cut where the hops of the filter begin, so that none is filtered twice.
  %
  % Example: the largest value above 300 Hz.
  %   aggregate = readAggregate('aggregate.json');
  %   plan = planFilter(aggregate, 1:aggregate.channels, 300, [], 0, 'double');
  %   blocks = planBlocks(plan, plan.stretches);
  %   highest = -inf;
  %   for k = 1:size(blocks, 1)
  %     block = readFiltered(plan, blocks(k, 1), blocks(k, 2));
  %     highest = max(highest, max(block(:)));
  %   end

  blocks = cell(size(pieces, 1), 1);
  for k = 1:size(pieces, 1)
    first = pieces(k, 1);
    last = pieces(k, 2);
    origin = plan.stretches(find(plan.stretches(:, 1) <= first, 1, 'last'), 1);
    skipped = floor((first - origin) / plan.blockSamples) + 1;
    cuts = (origin + skipped * plan.blockSamples:plan.blockSamples:last - 1)';
    blocks{k} = [[first; cuts], [cuts; last]];
  end
  blocks = cat(1, zeros(0, 2), blocks{:});
end
