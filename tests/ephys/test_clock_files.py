"""aligned.json: its maps, and what is damaged."""

import json

import pytest

from neuroluigi.ephys.clock_files import Clocks
from neuroluigi.steps.target import DamagedError

STREAM = {"stream": "nidq", "clock": "m nidq", "counters": [0, 100], "seconds": [1.0, 2.0]}
STREAM |= {"before": 0.02, "after": 0.01}


def test_the_maps_are_by_clock(tmp_path):
    path = tmp_path / "aligned.json"
    path.write_text(json.dumps({"session": "m", "streams": [STREAM], "unaligned": []}))
    target = Clocks(path)
    target.check(path)
    assert target.maps()["m", "m nidq"].to_seconds([-50, 50, 200]).tolist() == [0.0, 1.5, 3.0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "does not have session"),
        ({"session": "m", "streams": []}, "does not have session, streams and unaligned"),
        ({"session": "m", "streams": [{**STREAM, "seconds": []}], "unaligned": []}, "than of seconds for nidq"),
    ],
)
def test_another_content_is_damaged(tmp_path, content, reason):
    path = tmp_path / "aligned.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedError, match=reason):
        Clocks(path).check(path)
