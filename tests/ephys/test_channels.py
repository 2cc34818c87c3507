"""Which channels a step looks at: by names, positions and kinds, without the bad ones."""

from types import SimpleNamespace

import pytest

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.recordings.recording import RecordingsError

NAMES = {"16": "ap", "-3": "ap", "ap": "ap", "fuß": "aux", "b": "lf", "sync": "digital"}


def channels(monkeypatch, bad: str | None = None, also_bad=()) -> GroupChannels:
    described = [{"name": name, "kind": kind} for name, kind in NAMES.items()]
    monkeypatch.setattr("neuroluigi.ephys.channels.channels_of", lambda recording: described)
    recording = SimpleNamespace(columns={"bad_channels": bad}, origin="recordings.csv, row 2")
    return GroupChannels(SimpleNamespace(key="g", recordings=[recording]), also_bad)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["16"], [0]),
        (["-3"], [1]),
        (["--3"], [0, 2]),
        (["ap"], [2]),
        (["0-2", "fuß"], [0, 1, 2, 3]),
        (["aux", "lf"], [3, 4]),
        (["-0-1"], [2]),
        ([], [0, 1, 2]),
    ],
)
def test_a_word_is_a_name_before_it_is_a_position_or_a_kind(monkeypatch, words, chosen):
    assert channels(monkeypatch).choose(words, [0, 1, 2], "[Spikes] channels") == chosen


@pytest.mark.parametrize(
    ("column", "setting", "bad"),
    [("1|b", (), {1, 4}), ("aux", (), {3}), ("lf, aux", ("digital", "no such"), {3, 4, 5}), (None, ("aux",), {3})],
)
def test_bad_channels_may_be_named_by_kind(monkeypatch, column, setting, bad):
    found = channels(monkeypatch, column, setting)
    assert found.bad == bad and not bad & {*found.usable()}


@pytest.mark.parametrize("word", ["6", "2-1", "4-9", "nothing", "-nothing", "1.5"])
def test_a_word_that_names_nothing(monkeypatch, word):
    with pytest.raises(RecordingsError, match=f"no channel of the name, position or kind '{word.removeprefix('-')}'"):
        channels(monkeypatch).choose([word], [0], "[Spikes] channels")
    with pytest.raises(RecordingsError, match="row 2, column bad_channels"):
        channels(monkeypatch, bad=word)
