function near = channelNeighbours(aggregate, channels, within, beside)
  % CHANNELNEIGHBOURS finds the channels near each channel, on its probe or in order.
  %
  %   near = channelNeighbours(aggregate, channels, within, beside)
  %
  % Inputs
  %   aggregate  struct, as of readAggregate
  %   channels   1-based channels, among which neighbours are looked for
  %   within     um: those of its shank no farther than that, for a channel of known position
  %   beside     so many on either side, in the order of channels, for any other
  %
  % Output
  %   near       cell, for each of the channels a row of places in channels: itself first, then the
  %              others in their order
  %
  % Example: channels 2 and 3 are beside channel 1 where no positions are known.
  %   near = channelNeighbours(readAggregate('aggregate.json'), 1:4, 100, 2);

  x = aggregate.x(channels);
  y = aggregate.y(channels);
  shanks = aggregate.shanks(channels);
  shanks(isnan(shanks)) = 0;
  near = cell(1, numel(channels));
  for k = 1:numel(channels)
    if isnan(x(k)) || isnan(y(k))
      isNear = abs((1:numel(channels)) - k) <= beside;
    else
      % Whole um are compared exactly; a root would be rounded.
      isNear = (x - x(k)).^2 + (y - y(k)).^2 <= within^2 & shanks == shanks(k);
    end
    isNear(k) = false;
    near{k} = [k, reshape(find(isNear), 1, [])];
  end
end
