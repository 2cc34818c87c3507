"""What the help texts of matlab/*.m promise: examples, errors, and memory that does not grow with the file."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needs_octave
from tests.signals.aggregates import write_aggregate
from tests.signals.octave import BLOCK_BYTES, PUBLIC, documented_errors, m, octave


@needs_octave
def test_the_examples_of_the_help_texts(tmp_path):
    """Each line is the example of a help text; what it says of the result is asserted after it."""
    for index in (0, 2):
        (tmp_path / f"rec_{index}.bin").write_bytes(bytes(range(100)))
    for name, samples in (
        ("1234", [[1], [2], [3], [4]]),
        ("05909", [[0], [5], [9], [0], [9]]),
        ("0132", [[0], [1], [3], [2]]),
    ):
        (tmp_path / name).mkdir()
        write_aggregate(tmp_path / name, np.array(samples, "uint8"))
    ramps, folder = np.arange(8000, dtype="int16").reshape(2000, 4), tmp_path / "4 channels"
    folder.mkdir()
    write_aggregate(folder, ramps, sampling_rate_hz=30_000)
    np.save(folder / "events.npy", np.array([[99, 0, 102, 100, 1], [199, 1, 202, 200, 1]], "<i8"))
    (tmp_path / "noise").mkdir()
    normal = np.random.default_rng(0).standard_normal((20_000, 2)) * [10, 100]
    write_aggregate(tmp_path / "noise", normal, sampling_rate_hz=30_000)
    octave(
        tmp_path,
        """
        fid = openFile('rec_0.bin', 'r');
        closing = onCleanup(@() closeFile(fid));
        assert(isequal(fread(fid, 3)', [0 1 2]));
        clear closing
        assert(isempty(fopen('all')));
        concatenateFiles({'rec_0.bin', 'rec_2.bin'}, 'aggregate.bin');
        fid = openFile('aggregate.bin', 'r');
        closeFile(fid, 'aggregate.bin', 200);
        closeFile(fid);
        cd 1234
        computeStats('aggregate.json', '../stats.json');
        aggregate = readAggregate('aggregate.json');
        highest = -inf;
        for first = 0:aggregate.blockSamples:aggregate.samples - 1
          block = readBlock(aggregate, first);
          highest = max(highest, max(block(:)));
        end
        assert(isequal(highest, 4));
        cd ../05909
        findRisingEdges('aggregate.json', '../edges.npy', 5);
        findRisingEdges('aggregate.json', '../none.npy', 50);
        cd ..
        [samples, channels] = readEdges('edges.npy');
        assert(isequal(samples, [2; 5]) && isequal(channels, [1; 1]));
        x = [0 5 9 0 9];
        assert(isequal(x(samples), [5 9]));
        [samples, channels] = readEdges('none.npy');
        assert(isequal(size(samples), [0 1]) && isequal(size(channels), [0 1]));
        cd 0132
        findLines('aggregate.json', '../lines.npy', '../lines.json', 'words', 1, 'bits', [0, 1]);
        findLines('aggregate.json', '../none.npy', '../none.json', 'words', 1, 'bits', 7);
        cd ..
        [samples, channels, bits, values] = readLines('lines.npy');
        assert(isequal([samples, channels, bits, values], [2 1 0 1; 3 1 1 1; 4 1 0 0]));
        rises = samples(bits == 0 & values == 1);
        assert(isequal(rises, 2));
        [samples, ~, ~, values] = readLines('none.npy');
        assert(isequal(size(samples), [0 1]) && isequal(size(values), [0 1]));
        assert(strcmp(jsonText(struct('low', 300, 'channels', {{1}})), '{"low": 300, "channels": [1]}'));
        fid = openFile('data.bin', 'w');
        bytes = writeSamples(fid, 'data.bin', [1 2 3; 4 5 6], 'int16');
        assert(isequal(bytes, 12));
        closeFile(fid, 'data.bin', 12);
        near = channelNeighbours(readAggregate('4 channels/aggregate.json'), 1:4, 100, 2);
        assert(isequal(near{1}, [1 2 3]) && isequal(near{4}, [4 2 3]));
        cd '4 channels'
        aggregate = readAggregate('aggregate.json');
        options = signalOptions(aggregate, {'low', 300, 'channels', 1}, struct());
        plan = planFilter(aggregate, options.channels, options.low, options.high, ...
                          options.labels, options.precision);
        assert(isequal(numel(plan.taps), 331));
        writeFiltered('aggregate.json', 'filtered.bin', 'low', 300, 'dtype', 'int16');
        writeDownsampled('aggregate.json', 'downsampled.bin', 'factor', 30);
        cutSnippets('aggregate.json', 'events.npy', 'snippets.npy', 'snippets.json', ...
                    'channels', 1, 'before', 1, 'after', 1);
        cd ..
        cd 05909
        findEvents('aggregate.json', '../events.npy', '../amplitudes.npy', '', 'level', 5);
        cd ..
        events = readEvents('events.npy', 'amplitudes.npy');
        assert(isequal(events.sample, [2; 5]) && isequal(x(events.sample), [5 9]));
        rises = pickEvents(events, events.polarity == 1);
        assert(isequal(rises, events));
        events = joinEvents(events, events);
        assert(isequal(events.peak, [3; 5; 3; 5]));
        taps = bandPass(300, 6000, 30000);
        constant = sum(taps);
        assert(numel(taps) == 331 && abs(constant) < 1e-12);
        cd noise
        aggregate = readAggregate('aggregate.json');
        plan = planFilter(aggregate, 1:aggregate.channels, 300, 6000, 0, 'double');
        sigma = noiseLevel(plan);
        assert(numel(sigma) == 2 && sigma(2) > 9 * sigma(1));
        plan = planFilter(aggregate, 1:aggregate.channels, 300, [], 0, 'double');
        block = readFiltered(plan, 0, 100);
        assert(isequal(size(block), [100 2]));
        blocks = planBlocks(plan, plan.stretches);
        highest = -inf;
        for k = 1:size(blocks, 1)
          block = readFiltered(plan, blocks(k, 1), blocks(k, 2));
          highest = max(highest, max(block(:)));
        end
        assert(highest > 300 && highest < 1000);
        options = eventOptions(aggregate, {'level', 5, 'refractory', 1});
        assert(options.refractory == 30);
        options = eventOptions(aggregate, {'threshold', 0.5});
        plan = planFilter(aggregate, options.channels, [], [], options.labels, 'double');
        levels = eventLevels(plan, options);
        x = readBlock(aggregate, 0);
        assert(all(abs(levels.level' - (min(x, [], 2) + max(x, [], 2)) / 2) < 1e-9));
        """,
    )
    assert json.loads((tmp_path / "stats.json").read_text()) == {
        "count": 4,
        "min": [1],
        "max": [4],
        "mean": [2.5],
        "std": [pytest.approx(1.29, abs=0.005)],
    }
    assert np.load(tmp_path / "edges.npy").tolist() == [[1, 0], [4, 0]]
    assert np.load(tmp_path / "lines.npy").tolist() == [[1, 0, 0, 1], [2, 0, 1, 1], [3, 0, 0, 0]]
    assert np.fromfile(tmp_path / "data.bin", "<i2").tolist() == [1, 2, 3, 4, 5, 6]
    # Of a ramp the reflection is one too: above 300 Hz there is nothing, and below it is what it was.
    assert not np.fromfile(folder / "filtered.bin", "<i2").any()
    np.testing.assert_allclose(np.fromfile(folder / "downsampled.bin", "<f4").reshape(-1, 4), ramps[::30], atol=1e-3)
    assert np.load(folder / "snippets.npy").tolist() == [ramps[70:130, 0].tolist()]


# Errors: (call, identifier, what the message says). Each leaves no file open.
_FEW = "'few.bin'"
_CUT = "cutSnippets('few rate.json', 'events.npy', 'out.npy', 'out.json'"
_ONE_OF_THEM = "number 1 is none of them"
ERRORS_OF_SIGNALS = [
    ("signalOptions(readAggregate('few.json'), {'level', 5}, struct())", "signalOptions:unknownOption", _ONE_OF_THEM),
    ("signalOptions(readAggregate('few.json'), {'low'}, struct())", "signalOptions:unknownOption", _ONE_OF_THEM),
    ("signalOptions(readAggregate('few.json'), {'low', 'x'}, struct())", "eventOptions:badValue", "low must be"),
    ("writeSamples(-1, 'out.bin', 5, 'int8')", "writeSamples:badDtype", "int8 is neither float32 nor int16"),
    ("writeSamples(fopen('many.bin'), 'many.bin', 5, 'int16')", "writeSamples:cannotWrite", "write to many.bin"),
    *[
        error
        for function, own in (("writeFiltered", ""), ("writeDownsampled", ", 'factor', 2"))
        for error in (
            (f"{function}('gone.json', 'out.bin'{own})", "openFile:cannotOpen", "gone.json"),
            (f"{function}('few rate.json', 'no folder/o.bin'{own})", "openFile:cannotOpen", "no folder/o.bin"),
            (f"{function}('few.bin', 'out.bin'{own})", "readAggregate:badFormat", "few.bin"),
            (f"{function}('gone part.json', 'out.bin'{own})", "readAggregate:noFile", "gone.bin"),
            (f"{function}('short part.json', 'out.bin'{own})", "readAggregate:tooShort", "few.bin"),
            (f"{function}('few rate.json', 'out.bin'{own}, 'x', 1)", "signalOptions:unknownOption", "is none of them"),
            (f"{function}('few rate.json', 'out.bin'{own}, 'channels', 2)", "eventOptions:badValue", "channels must"),
            (f"{function}('few rate.json', 'out.bin'{own}, 'dtype', 'int8')", "writeSamples:badDtype", "int8"),
            (f"{function}('few rate.json', '/dev/full'{own})", "closeFile:incomplete", "/dev/full has 0 of"),
            (f"{function}('many rate.json', '/dev/full'{own})", "writeSamples:cannotWrite", "write to /dev/full"),
        )
    ],
    ("writeFiltered('few.json', 'out.bin', 'low', 10)", "planFilter:unknownRate", "few.json does not say the sampling"),
    ("writeFiltered('few rate.json', 'out.bin', 'low', 900)", "bandPass:badBand", "below half the rate"),
    ("writeDownsampled('few rate.json', 'out.bin')", "writeDownsampled:badFactor", "factor must be a whole number"),
    ("writeDownsampled('few.json', 'o.bin', 'factor', 2)", "writeDownsampled:unknownRate", "few.json does not say"),
    (
        "writeDownsampled('few.json', 'o', 'factor', 2, 'low', 5)",
        "writeDownsampled:conflict",
        "low, high and reference",
    ),
    ("cutSnippets('gone.json', 'events.npy', 'out.npy', 'out.json')", "openFile:cannotOpen", "gone.json"),
    ("cutSnippets('few rate.json', 'gone.npy', 'out.npy', 'out.json')", "openFile:cannotOpen", "gone.npy"),
    ("cutSnippets('few rate.json', 'events.npy', 'no/out.npy', 'out.json')", "openFile:cannotOpen", "no/out.npy"),
    ("cutSnippets('few rate.json', 'events.npy', 'out.npy', 'no/out.json')", "openFile:cannotOpen", "no/out.json"),
    ("cutSnippets('few.bin', 'events.npy', 'out.npy', 'out.json')", "readAggregate:badFormat", "few.bin"),
    ("cutSnippets('gone part.json', 'events.npy', 'o.npy', 'o.json')", "readAggregate:noFile", "gone.bin"),
    ("cutSnippets('short part.json', 'events.npy', 'o.npy', 'o.json')", "readAggregate:tooShort", "few.bin"),
    (f"{_CUT}, 'level', 5)", "signalOptions:unknownOption", _ONE_OF_THEM),
    (f"{_CUT}, 'channels', 2)", "eventOptions:badValue", "channels must be"),
    (f"{_CUT}, 'low', 900)", "bandPass:badBand", "below half the rate"),
    (f"{_CUT}, 'most', 0)", "cutSnippets:badValue", "most must be a number from 1 on"),
    (f"{_CUT}, 'beside', 0.5)", "cutSnippets:badValue", "beside must be a number from 0 on"),
    (f"{_CUT}, 'before', inf)", "cutSnippets:badValue", "before must be"),
    (f"{_CUT}, 'after', 0)", "cutSnippets:badValue", "after is 0 ms"),
    ("cutSnippets('few.json', 'events.npy', 'o.npy', 'o.json')", "cutSnippets:unknownRate", "few.json does not say"),
    ("cutSnippets('few rate.json', 'three.npy', 'o.npy', 'o.json')", "cutSnippets:badFormat", "three.npy is not a"),
    ("cutSnippets('few rate.json', 'few.bin', 'o.npy', 'o.json')", "cutSnippets:badFormat", "few.bin is not a file of"),
    ("cutSnippets('few rate.json', 'cut by 8.npy', 'o.npy', 'o.json')", "cutSnippets:badFormat", "8.npy is cut short"),
    (
        "cutSnippets('few rate.json', 'whole.npy', 'o.npy', 'o.json')",
        "cutSnippets:otherChannels",
        "whole.npy has events",
    ),
    ("cutSnippets('few rate.json', 'events.npy', '/dev/full', 'o.json')", "closeFile:incomplete", "/dev/full has 0 of"),
    ("cutSnippets('few rate.json', 'events.npy', 'o.npy', '/dev/full')", "closeFile:incomplete", "/dev/full has 0 of"),
    (
        "cutSnippets('many rate.json', 'many.npy', '/dev/full', 'o', 'before', 50)",
        "cutSnippets:cannotWrite",
        "to /dev/full",
    ),
]
ERRORS = [
    ("openFile('gone.bin', 'r')", "openFile:cannotOpen", "gone.bin"),
    ("openFile('.', 'r')", "openFile:cannotOpen", "cannot open ."),
    ("closeFile(-1, 'few.bin', 6)", "closeFile:incomplete", "few.bin has 5 of 6 bytes"),
    ("closeFile(-1, 'gone.bin', 6)", "openFile:cannotOpen", "gone.bin"),
    ("concatenateFiles({'few.bin', 'gone.bin'}, 'out.bin')", "openFile:cannotOpen", "gone.bin"),
    ("concatenateFiles({'few.bin'}, 'no folder/out.bin')", "openFile:cannotOpen", "no folder/out.bin"),
    ("concatenateFiles({'few.bin'}, 'out.bin', 3, 4)", "concatenateFiles:tooShort", "few.bin ended after 2 of 4 bytes"),
    ("concatenateFiles({'few.bin'}, 'out.bin', 6)", "concatenateFiles:tooShort", "shorter than its header of 6 bytes"),
    ("concatenateFiles({'few.bin'}, '/dev/full')", "closeFile:incomplete", "/dev/full has 0 of 5 bytes"),
    ("concatenateFiles({'many.bin'}, '/dev/full')", "concatenateFiles:cannotWrite", "cannot write to /dev/full"),
    ("readAggregate('gone.json')", "openFile:cannotOpen", "gone.json"),
    ("readAggregate('few.bin')", "readAggregate:badFormat", "few.bin is no aggregate.json ("),
    ("readAggregate('number.json')", "readAggregate:badFormat", "number.json is no aggregate.json ("),
    ("readAggregate('no dtype.json')", "readAggregate:badFormat", "); make Aggregate again"),
    ("readAggregate('strange dtype.json')", "readAggregate:badFormat", "strange dtype.json is no aggregate.json"),
    ("readAggregate('no samples of parts.json')", "readAggregate:badFormat", "no samples of parts.json is no"),
    ("readAggregate('no root.json')", "readAggregate:badFormat", "no root.json is no aggregate.json"),
    ("readAggregate('gone part.json')", "readAggregate:noFile", "cannot open gone.bin, which gone part.json names: "),
    ("readAggregate('gone part.json')", "readAggregate:noFile", "; if it was moved, make Aggregate again"),
    ("readAggregate('short part.json')", "readAggregate:tooShort", "few.bin ends before the samples that short part"),
    ("readAggregate('short part.json')", "readAggregate:tooShort", "; if it was changed, make Aggregate again"),
    ("readBlock(taken('gone.bin', 5), 0)", "openFile:cannotOpen", "gone.bin"),
    ("readBlock(taken('few.bin', 5), 0)", "readBlock:tooShort", "few.bin ends before the samples that many.json names"),
    ("readBlock(taken('few.bin', 2), 0)", "readBlock:tooShort", "; if it was changed, make Aggregate again"),
    ("computeStats('gone.json', 'out.json')", "openFile:cannotOpen", "gone.json"),
    ("computeStats('few.json', 'no folder/out.json')", "openFile:cannotOpen", "no folder/out.json"),
    ("computeStats('few.bin', 'out.json')", "readAggregate:badFormat", "few.bin"),
    ("computeStats('gone part.json', 'out.json')", "readAggregate:noFile", "gone.bin"),
    ("computeStats('short part.json', 'out.json')", "readAggregate:tooShort", "few.bin"),
    ("computeStats('empty.json', 'out.json')", "computeStats:noSamples", "empty.json has no samples"),
    ("computeStats('few.json', '/dev/full')", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findRisingEdges('gone.json', 'out.npy', 5)", "openFile:cannotOpen", "gone.json"),
    ("findRisingEdges('few.json', 'no folder/o.npy', 5)", "openFile:cannotOpen", "no folder/o.npy"),
    ("findRisingEdges('few.bin', 'out.npy', 5)", "readAggregate:badFormat", "few.bin"),
    ("findRisingEdges('gone part.json', 'out.npy', 5)", "readAggregate:noFile", "gone.bin"),
    ("findRisingEdges('short part.json', 'out.npy', 5)", "readAggregate:tooShort", "few.bin"),
    ("findRisingEdges('few.json', '/dev/full', 5)", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findRisingEdges('many.json', '/dev/full', 5)", "findRisingEdges:cannotWrite", "write to /dev/full"),
    ("findLines('gone.json', 'o.npy', 'o.json')", "openFile:cannotOpen", "gone.json"),
    ("findLines('few.bin', 'o.npy', 'o.json')", "readAggregate:badFormat", "few.bin"),
    ("findLines('gone part.json', 'o.npy', 'o.json')", "readAggregate:noFile", "gone.bin"),
    ("findLines('short part.json', 'o.npy', 'o.json')", "readAggregate:tooShort", "few.bin"),
    (
        "findLines('few.json', 'o.npy', 'o.json')",
        "findLines:noWords",
        "few.json does not say which of its channels are",
    ),
    (
        "findLines('few.json', 'o.npy', 'o.json', 'words', 2)",
        "findLines:badWords",
        "few.json, each once, counted from 1",
    ),
    ("findLines('few.json', 'o.npy', 'o.json', 'words', 'a')", "findLines:badWords", "words 97: words are channels"),
    ("findLines('few.json', 'o.npy', 'o.json', 'words', 1, 'bits', 8)", "findLines:badBits", "their bits are 0 to 7"),
    ("findLines('few.json', 'o.npy', 'o.json', 'words', 1, 'bits', 'a')", "findLines:badOption", "are numbers"),
    ("findLines('few.json', 'o.npy', 'o.json', 'word', 1)", "findLines:badOption", "words, bits, settle, width, field"),
    ("findLines('few.json', 'o.npy', 'o.json', 1, 1)", "findLines:badOption", "are pairs of a name and a value"),
    (
        "findLines('few.json', 'o.npy', 'o.json', 'words', 1, 'names', {'a'})",
        "findLines:badOption",
        "1 names for 8 bits",
    ),
    ("findLines('few.json', 'o.npy', 'o.json', 'words', 1, 'width', 1)", "findLines:noRate", "has no sampling rate"),
    ("findLines('floats.json', 'o.npy', 'o.json')", "findLines:notInteger", "samples of float32, which have no bits"),
    ("findLines('few.json', 'no folder/o.npy', 'o.json', 'words', 1)", "openFile:cannotOpen", "no folder/o.npy"),
    ("findLines('few.json', 'o.npy', 'no folder/o.json', 'words', 1)", "openFile:cannotOpen", "no folder/o.json"),
    ("findLines('few.json', '/dev/full', 'o.json', 'words', 1)", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findLines('few.json', 'o.npy', '/dev/full', 'words', 1)", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findLines('many.json', '/dev/full', 'o.json', 'words', 1)", "findLines:cannotWrite", "write to /dev/full"),
    ("bandPass([], [], 100)", "bandPass:badBand", "a corner above 0 and below half the rate, which is 50 Hz"),
    ("bandPass(10, 50, 100)", "bandPass:badBand", "half the rate, which is 50 Hz, not 10 50 Hz"),
    ("bandPass(0, 20, 100)", "bandPass:badBand", "a corner above 0"),
    ("bandPass(20, 20, 100)", "bandPass:badBand", "low is 20 Hz, and must be below high, 20 Hz"),
    ("planFilter(readAggregate('few.json'), 1, 5, 9, 0, 'double')", "planFilter:unknownRate", "few.json does not say"),
    ("planFilter(readAggregate('rate.json'), 1, 9, 5, 0, 'double')", "bandPass:badBand", "low is 9 Hz"),
    ("readFiltered(plan_('gone.bin', 5), 0, 5)", "openFile:cannotOpen", "gone.bin"),
    ("readFiltered(plan_('few.bin', 5), 0, 5)", "readBlock:tooShort", "few.bin ends before the samples"),
    ("noiseLevel(plan_('gone.bin', 5))", "openFile:cannotOpen", "gone.bin"),
    ("noiseLevel(plan_('few.bin', 5))", "readBlock:tooShort", "few.bin ends before the samples"),
    ("eventOptions(one_, {'levl', 5})", "eventOptions:unknownOption", "noise, hysteresis"),
    ("eventOptions(one_, {'level'})", "eventOptions:unknownOption", "pairs of a name and a value"),
    ("eventOptions(one_, {5, 6})", "eventOptions:unknownOption", "; not 5"),
    ("eventOptions(one_, {'level', 5, 'noise', 4})", "eventOptions:conflict", "one of level, threshold and noise"),
    ("eventOptions(one_, {'threshold', 1, 'noise', 4})", "eventOptions:conflict", "one of level, threshold and noise"),
    ("eventOptions(one_, {'noise', 5, 'release', 1, 'hysteresis', 1})", "eventOptions:conflict", "one of hysteresis"),
    ("eventOptions(one_, {'level', 5, 'release', 0.5})", "eventOptions:conflict", "with level, give hysteresis"),
    ("eventOptions(one_, {'level', 5, 'peakPastEnd', true})", "eventOptions:conflict", "give peakWithin too"),
    ("eventOptions(one_, {'polarity', 'up'})", "eventOptions:badValue", "one of rising, falling, absolute, not up"),
    ("eventOptions(one_, {'precision', 8})", "eventOptions:badValue", "one of double, single, not 8"),
    ("eventOptions(one_, {'reference', 'mean'})", "eventOptions:badValue", "reference must be none, median, or a"),
    ("eventOptions(one_, {'reference', [1 2]})", "eventOptions:badValue", "one number, or one for each of 1 channels"),
    ("eventOptions(one_, {'threshold', 1.5})", "eventOptions:badValue", "threshold must be between 0 and 1, not 1.5"),
    (
        "eventOptions(one_, {'settle', 1.5})",
        "eventOptions:badValue",
        "settle must be whole, between 1 and Inf",
    ),
    ("eventOptions(one_, {'ends', 'yes'})", "eventOptions:badValue", "ends must be true or false, not yes"),
    ("eventOptions(one_, {'noise', 'high'})", "eventOptions:badValue", "noise must be between 0 and Inf, not high"),
    ("eventOptions(one_, {'level', [1 2 3]})", "eventOptions:badValue", "one for each of 1 channels, not 1 2 3"),
    ("eventOptions(one_, {'channels', [1 1]})", "eventOptions:badValue", "different ones of 1 to 1, not 1 1"),
    ("eventOptions(one_, {'channels', 2})", "eventOptions:badValue", "different ones of 1 to 1, not 2"),
    ("eventOptions(one_, {'width', 5})", "eventOptions:unknownRate", "width is in ms, and few.json does not say"),
    ("eventLevels(plan_('gone.bin', 5), eventOptions(one_, {}))", "openFile:cannotOpen", "gone.bin"),
    ("eventLevels(plan_('few.bin', 5), eventOptions(one_, {}))", "readBlock:tooShort", "few.bin ends before"),
    ("findEvents('gone.json', 'o.npy', 'a.npy', 's.json')", "openFile:cannotOpen", "gone.json"),
    ("findEvents('few.json', 'no folder/o.npy', 'a.npy', 's.json')", "openFile:cannotOpen", "no folder/o.npy"),
    ("findEvents('few.json', 'o.npy', 'no folder/a.npy', 's.json')", "openFile:cannotOpen", "no folder/a.npy"),
    ("findEvents('few.json', 'o.npy', 'a.npy', 'no folder/s.json')", "openFile:cannotOpen", "no folder/s.json"),
    ("findEvents('few.bin', 'o.npy', 'a.npy', 's.json')", "readAggregate:badFormat", "few.bin"),
    ("findEvents('gone part.json', 'o.npy', 'a.npy', '')", "readAggregate:noFile", "gone.bin"),
    ("findEvents('short part.json', 'o.npy', 'a.npy', '')", "readAggregate:tooShort", "few.bin"),
    ("findEvents('few.json', 'o.npy', 'a.npy', '', 'leve', 5)", "eventOptions:unknownOption", "not leve"),
    ("findEvents('few.json', 'o.npy', 'a.npy', '', 'level', 5, 'release', 1)", "eventOptions:conflict", "hysteresis"),
    ("findEvents('few.json', 'o.npy', 'a.npy', '', 'settle', 0)", "eventOptions:badValue", "settle must be"),
    ("findEvents('few.json', 'o.npy', 'a.npy', '', 'width', 1)", "eventOptions:unknownRate", "width is in ms"),
    ("findEvents('few.json', 'o.npy', 'a.npy', '', 'low', 1)", "planFilter:unknownRate", "a band is in Hz, and few"),
    ("findEvents('rate.json', 'o.npy', 'a.npy', '', 'low', 5, 'high', 50)", "bandPass:badBand", "which is 50 Hz"),
    ("findEvents('few.json', '/dev/full', '', '', 'level', 5)", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findEvents('many.json', '/dev/full', '', '', 'level', 5)", "findEvents:cannotWrite", "write to /dev/full"),
    ("findEvents('many.json', 'o.npy', '/dev/full', '', 'level', 5)", "findEvents:cannotWrite", "write to /dev/full"),
    ("writeEventSummary('no folder/s.json', p_, l_, t_, s_, {})", "openFile:cannotOpen", "no folder/s.json"),
    ("writeEventSummary('/dev/full', p_, l_, t_, s_, {})", "closeFile:incomplete", "/dev/full has 0 of"),
    ("readEvents('gone.npy')", "openFile:cannotOpen", "gone.npy"),
    ("readEvents('few.bin')", "readEvents:badFormat", "few.bin is not a file of events"),
    ("readEvents('int32.npy')", "readEvents:badFormat", "int32.npy is not a file of events"),
    ("readEvents('columns.npy')", "readEvents:badFormat", "columns.npy is not a file of events"),
    ("readEvents('three.npy')", "readEvents:badFormat", "three.npy is not a file of events"),
    ("readEvents('cut by 8.npy')", "readEvents:badFormat", "cut by 8.npy is cut short"),
    ("readEvents('whole.npy', 'whole.npy')", "readEvents:badFormat", "whole.npy is not a file of events or amplitudes"),
    (
        "readEvents('whole.npy', 'two floats.npy')",
        "readEvents:badFormat",
        "two floats.npy is not the file of",
    ),
    ("readLines('gone.npy')", "openFile:cannotOpen", "gone.npy"),
    ("readLines('few.bin')", "readLines:badFormat", "few.bin is not a file of lines"),
    ("readLines('whole.npy')", "readLines:badFormat", "whole.npy is not a file of lines"),
    ("readLines('cut lines.npy')", "readLines:badFormat", "cut lines.npy is cut short"),
    ("readEdges('gone.npy')", "openFile:cannotOpen", "gone.npy"),
    ("readEdges('empty.bin')", "readEdges:badFormat", "empty.bin is not a file of edges"),
    ("readEdges('few.bin')", "readEdges:badFormat", "few.bin is not a file of edges"),
    ("readEdges('many.bin')", "readEdges:badFormat", "many.bin is not a file of edges"),
    ("readEdges('int32.npy')", "readEdges:badFormat", "int32.npy is not a file of edges"),
    ("readEdges('float64.npy')", "readEdges:badFormat", "float64.npy is not a file of edges"),
    ("readEdges('three.npy')", "readEdges:badFormat", "three.npy is not a file of edges"),
    ("readEdges('flat.npy')", "readEdges:badFormat", "flat.npy is not a file of edges"),
    ("readEdges('columns.npy')", "readEdges:badFormat", "columns.npy is not a file of edges"),
    ("readEdges('cut by 8.npy')", "readEdges:badFormat", "cut by 8.npy is cut short"),
    ("readEdges('cut by 16.npy')", "readEdges:badFormat", "cut by 16.npy is cut short"),
    ("readEdges('header alone.npy')", "readEdges:badFormat", "header alone.npy is cut short"),
    *ERRORS_OF_SIGNALS,
]


def write_jsons(folder: Path) -> None:
    """Write an aggregate.json of each kind that ERRORS names."""
    known = {"dtype": "uint8", "channels": 1, "segments": [0], "roots": {}}
    part = {"path": "few.bin", "offset": 0, "samples": 5}
    for name, content in {
        "few": {"parts": [part]},
        "few rate": {"parts": [part], "sampling_rate_hz": 1000},
        "rate": {"parts": [part], "sampling_rate_hz": 100},
        "many": {"parts": [{**part, "path": "many.bin", "samples": 4 * BLOCK_BYTES}]},
        "many rate": {"parts": [{**part, "path": "many.bin", "samples": BLOCK_BYTES}], "sampling_rate_hz": 1000},
        "empty": {"parts": []},
        "floats": {"dtype": "float32", "parts": [{**part, "samples": 1}]},
        "no dtype": {"dtype": None},
        "strange dtype": {"dtype": "int12", "parts": [part]},
        "no samples of parts": {},
        "no root": {"parts": [{**part, "root": "nas"}]},
        "gone part": {"parts": [part, {**part, "path": "gone.bin"}]},
        "short part": {"parts": [part, {**part, "offset": 1}]},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps({**known, **content}))
    (folder / "number.json").write_text("5")


@pytest.fixture(scope="module")
def raised(tmp_path_factory) -> list[tuple[str, str, int, int]]:
    """What each call of ERRORS raised: identifier, message, files open before and after it."""
    folder = tmp_path_factory.mktemp("errors")
    (folder / "few.bin").write_bytes(bytes([0, 9, 0, 9, 0]))
    (folder / "many.bin").write_bytes(bytes([0, 9]) * (2 * BLOCK_BYTES))
    (folder / "empty.bin").touch()
    write_jsons(folder)
    edges = np.arange(6, dtype="<i8").reshape(3, 2)
    np.save(folder / "int32.npy", edges.astype("<i4"))
    np.save(folder / "float64.npy", edges.astype("<f8"))
    np.save(folder / "three.npy", edges.reshape(2, 3))
    np.save(folder / "flat.npy", edges.ravel())
    np.save(folder / "columns.npy", np.asfortranarray(edges))
    np.save(folder / "whole.npy", edges)
    np.save(folder / "events.npy", np.array([[2, 0]], "<i8"))
    np.save(folder / "many.npy", np.stack([np.arange(10, 9000, 10), np.zeros(899, int)], axis=1).astype("<i8"))
    np.save(folder / "two floats.npy", np.zeros(2))
    whole = (folder / "whole.npy").read_bytes()
    np.save(folder / "lines.npy", np.zeros((2, 4), "<i8"))
    (folder / "cut lines.npy").write_bytes((folder / "lines.npy").read_bytes()[:-8])
    for name, size in (("cut by 8", len(whole) - 8), ("cut by 16", len(whole) - 16), ("header alone", 128)):
        (folder / f"{name}.npy").write_bytes(whole[:size])
    calls = "".join(f"try_({m(call)});\n" for call, _, _ in ERRORS)
    out = octave(
        folder,
        "function aggregate = taken(name, offset)\n"
        "  aggregate = readAggregate('many.json');\n"
        "  aggregate.parts.file = name; aggregate.parts.offset = offset;\n"
        "end\n"
        "function plan = plan_(name, offset)\n"
        "  plan = planFilter(taken(name, offset), 1, [], [], 0, 'double');\n"
        "end\n"
        "function aggregate = one_()\n"
        "  aggregate = readAggregate('few.json');\n"
        "end\n"
        "function try_(call)\n"
        "  p_ = plan_('few.bin', 0); s_ = struct('count', 0, 'open', []);\n"
        "  l_ = struct('sigma', NaN, 'noiseFrom', '', 'level', 1, 'release', 1);\n"
        "  t_ = struct('low', [], 'high', [], 'noise', [], 'rejected', struct('width', 0, 'refractory', 0));\n"
        "  identifier = 'none'; message = '';\n"
        "  opened = fopen('few.bin', 'r', 'ieee-le');\n"
        "  before = numel(fopen('all'));\n"
        "  try, eval([call ';']); catch e, identifier = e.identifier; message = e.message; end\n"
        "  fprintf('%s\\t%s\\t%d\\t%d\\n', identifier, message, before, numel(fopen('all')));\n"
        "  fclose('all');\n"
        "end\n" + calls,
    )
    lines = [line.split("\t") for line in out.splitlines()]
    return [(identifier, message, int(before), int(after)) for identifier, message, before, after in lines]


@needs_octave
@pytest.mark.parametrize("index", range(len(ERRORS)), ids=[call for call, _, _ in ERRORS])
def test_errors_have_an_identifier_and_name_the_file(raised, index):
    assert len(raised) == len(ERRORS)
    _, identifier, message = ERRORS[index]
    assert raised[index][0] == identifier
    assert message in raised[index][1]
    assert raised[index][2:] == (1, 1), "a file stays open"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_documented_error_is_raised_above(name):
    tried = {identifier for call, identifier, _ in ERRORS if call.startswith(f"{name}(")}
    assert documented_errors(name) == tried


@needs_octave
def test_a_full_disk(tmp_path):
    """A file system of 1 MB of its own, which nothing outside the process sees."""
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=1m none '{tmp_path}/disk' && exec \"$@\""
    unshared = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        works = subprocess.run([*unshared, "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip("can't mount a small disk here")
    (tmp_path / "many.bin").write_bytes(bytes([0, 9]) * BLOCK_BYTES)
    parts = [{"path": "many.bin", "offset": 0, "samples": 2 * BLOCK_BYTES}]
    content = {"dtype": "uint8", "channels": 1, "segments": [0], "parts": parts}
    (tmp_path / "many.json").write_text(json.dumps(content))
    out = octave(
        tmp_path,
        """
        try, concatenateFiles({'many.bin'}, 'disk/a.bin'); catch e, disp(e.identifier), end
        delete('disk/a.bin');
        try, findRisingEdges('many.json', 'disk/e.npy', 5); catch e, disp(e.identifier), end
        delete('disk/e.npy');
        fid = fopen('disk/fill.bin', 'w'); fwrite(fid, zeros(2^21, 1), 'uint8'); fclose(fid);
        try, computeStats('many.json', 'disk/s.json'); catch e, disp(e.identifier), end
        disp(numel(fopen('all')));
        """,
        *unshared,
    )
    assert out.split() == [
        "concatenateFiles:cannotWrite",
        "findRisingEdges:cannotWrite",
        "closeFile:incomplete",
        "0",
    ]


@needs_octave
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_memory_does_not_grow_with_the_file(tmp_path):
    recordings = [{"samples": 200_000_000 // 64}]
    write_aggregate(tmp_path, np.zeros((0, 8)), recordings=recordings, sampling_rate_hz=30_000)
    with (tmp_path / "aggregate.bin").open("wb") as file:
        file.truncate(200_000_000)  # sparse
    out = octave(
        tmp_path,
        """
        function mb = peak()
          text = fileread('/proc/self/status');
          mb = str2double(regexp(text, 'VmHWM:\\s*(\\d+)', 'tokens', 'once'){1}) / 1024;
        end
        before = peak();
        findRisingEdges('aggregate.json', 'edges.npy', 1);
        findEvents('aggregate.json', 'events.npy', 'amplitudes.npy', '', 'noise', 5, 'low', 300);
        computeStats('aggregate.json', 'stats.json');
        concatenateFiles({'aggregate.bin'}, 'copy.bin');
        fprintf('%.0f %.0f\\n', before, peak());
        """,
    )
    before, after = map(int, out.split())
    assert before > 10, "the peak was not read"
    assert after - before < 120
    assert json.loads((tmp_path / "stats.json").read_text())["count"] == 200_000_000 // 64
