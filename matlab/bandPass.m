function taps = bandPass(low, high, rate)
  % BANDPASS returns the taps of a band-pass, high-pass or low-pass filter (FIR, linear phase).
  %
  %   taps = bandPass(low, high, rate)
  %
  % Inputs
  %   low   Hz, the lower corner; [] for a low-pass
  %   high  Hz, the upper corner; [] for a high-pass
  %   rate  samples per second
  %
  % Output
  %   taps  column, of odd length; the middle one is that of the sample itself
  %
  % The difference of two low-passes, each a sinc in a Hamming window with a sum of 1. Its length is
  % 3.3 * rate / low (or / high, where that is alone), which is the width of the transition of such
  % a window: both corners are at -6 dB.
  %
  % Errors: bandPass:badBand
  %
  % Example: 331 taps, which let nothing of a constant pass.
  %   taps = bandPass(300, 6000, 30000);
  %   constant = sum(taps);

  corners = [low, high];
  if isempty(corners) || any(~(corners > 0)) || any(corners >= rate / 2)
    error('bandPass:badBand', '%s', ...
          ['a band has a corner above 0 and below half the rate, which is ' ...
           sprintf('%.15g', rate / 2) ' Hz, not ' sprintf('%.15g ', corners) 'Hz']);
  end
  if numel(corners) == 2 && low >= high
    error('bandPass:badBand', '%s', ...
          ['low is ' sprintf('%.15g', low) ' Hz, and must be below high, ' ...
           sprintf('%.15g', high) ' Hz']);
  end
  half = ceil((3.3 * rate / corners(1) - 1) / 2);
  if isempty(high)
    taps = double((-half:half)' == 0);
  else
    taps = lowPass(high / rate, half);
  end
  if ~isempty(low)
    taps = taps - lowPass(low / rate, half);
  end
end

function taps = lowPass(corner, half)
  k = (1:half)';
  side = sin(2 * pi * corner * k) ./ (pi * k);
  window = 0.54 + 0.46 * cos(pi * (0:half)' / half);
  taps = [2 * corner; side] .* window;
  taps = [taps(end:-1:2); taps];
  taps = taps / sum(taps);
end
