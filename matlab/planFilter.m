function plan = planFilter(aggregate, channels, low, high, labels, precision)
  % PLANFILTER says how the samples of a group are filtered, for readFiltered and noiseLevel.
  %
  %   plan = planFilter(aggregate, channels, low, high, labels, precision)
  %
  % Inputs
  %   aggregate  struct, as of readAggregate
  %   channels   1-based channels to read
  %   low        Hz, the lower corner of the band; [] for none
  %   high       Hz, the upper one; [] for none
  %   labels     one number per channel: the median of the channels of a label is taken from each of
  %              them; 0 for none
  %   precision  'double' or 'single', that of the filter
  %
  % Output
  %   plan       struct with fields
  %     aggregate, channels, labels, precision   as given; labels as a row
  %     stretches       stretches x 2, first and last sample (exclusive, 0-based) without a seam
  %     taps            column, empty without a band
  %     keepsOffset     true for a low-pass, which lets a constant pass
  %     fftLength, hop  samples of an FFT, and how many of its results count
  %     hopsAtOnce      2 where two hops of a channel are one FFT, as real and imaginary part
  %     spectrum        column, that of the taps
  %     channelsAtOnce  channels of an FFT
  %     blockSamples    samples that are best read at once
  %     heldValues      values that noiseLevel may hold
  %     shortStretches  number of stretches too short for the reflection at their ends
  %
  % Hops are counted from the first sample of a stretch, so that no result depends on what is read.
  %
  % Errors: planFilter:unknownRate, bandPass:badBand
  %
  % Example: the noise of all channels from 300 to 6000 Hz.
  %   aggregate = readAggregate('aggregate.json');
  %   plan = planFilter(aggregate, 1:aggregate.channels, 300, 6000, 0, 'double');
  %   sigma = noiseLevel(plan);

  if isscalar(labels)
    labels = repmat(labels, 1, numel(channels));
  end
  plan.aggregate = aggregate;
  plan.channels = channels(:)';
  plan.labels = labels(:)';
  plan.precision = precision;
  firsts = unique([0; aggregate.segments]);
  firsts = firsts(firsts < aggregate.samples);
  edges = [firsts; aggregate.samples];
  plan.stretches = reshape([edges(1:end - 1), edges(2:end)], [], 2);
  plan.taps = [];
  plan.keepsOffset = isempty(low);
  plan.hop = 1;
  plan.hopsAtOnce = 1;
  plan.shortStretches = 0;
  plan.heldValues = 2^24;
  if ~isempty(low) || ~isempty(high)
    plan = planHops(plan, low, high);
  end
  pieceSamples = plan.hop * plan.hopsAtOnce;
  pieces = max(1, floor(2^20 / (pieceSamples * numel(channels))));
  plan.blockSamples = pieces * pieceSamples;
end

function plan = planHops(plan, low, high)
  rate = plan.aggregate.samplingRateHz;
  if isnan(rate)
    error('planFilter:unknownRate', '%s', ...
          ['a band is in Hz, and ' plan.aggregate.file ' does not say the sampling rate']);
  end
  taps = bandPass(low, high, rate);
  plan.taps = taps;
  plan.fftLength = max(4096, 2^nextpow2(4 * numel(taps)));
  plan.hop = plan.fftLength - numel(taps) + 1;
  % Two hops in one FFT take half the time; more than 2^22 values are too much memory.
  if 2 * plan.hop * numel(plan.channels) <= 2^22
    plan.hopsAtOnce = 2;
  end
  plan.spectrum = fft(cast(taps, plan.precision), plan.fftLength);
  plan.channelsAtOnce = max(1, floor(2^18 / plan.fftLength));
  half = (numel(taps) - 1) / 2;
  plan.shortStretches = sum(plan.stretches(:, 2) - plan.stretches(:, 1) <= half);
end
