"""When a session began: what is written, what headers say, and what is lacking."""

from types import SimpleNamespace

import pytest

from neuroluigi.ephys.nwb_start import StartUnknownError, session_start


def recordings(*started: str) -> list:
    return [SimpleNamespace(path=f"{n}.bin", recorded=SimpleNamespace(started=one)) for n, one in enumerate(started)]


@pytest.mark.parametrize(
    ("started", "given", "zone", "expected"),
    [
        # Summer time, then winter time.
        (["2026-07-01T12:00:00"], "", "Europe/Zurich", "2026-07-01T12:00:00+02:00"),
        (["2026-01-01T12:00:00"], "", "Europe/Zurich", "2026-01-01T12:00:00+01:00"),
        (["2026-01-01T12:00:00"], "", "utc", "2026-01-01T12:00:00+00:00"),
        # The header's own zone counts, and the earliest recording.
        (["2026-01-01T12:00:00+00:00", "", "2026-01-01T12:30:00+01:00"], "", "Asia/Tokyo", "2026-01-01T12:30:00+01:00"),
        (["2026-01-01T12:00:00"], "2025-05-05T01:02:03.5Z", "", "2025-05-05T01:02:03.500000+00:00"),
        ([], "2025-05-05T01:02:03", "Asia/Tokyo", "2025-05-05T01:02:03+09:00"),
        # Before and behind the hour that was twice, and in it, with its own zone.
        ([], "2026-10-25T01:59:59", "Europe/Zurich", "2026-10-25T01:59:59+02:00"),
        ([], "2026-10-25T03:00", "Europe/Zurich", "2026-10-25T03:00:00+01:00"),
        ([], "2026-10-25T02:30+01:00", "Europe/Zurich", "2026-10-25T02:30:00+01:00"),
    ],
)
def test_the_start(started, given, zone, expected):
    assert session_start(recordings(*started), given, zone).isoformat() == expected


@pytest.mark.parametrize(
    ("started", "given", "zone", "key", "words"),
    [
        (["", ""], "", "UTC", "session_start_time", "no header says it"),
        ([], "2026-01-01", "UTC", "session_start_time", "'2026-01-01' is no date and time"),
        ([], "noon", "UTC", "session_start_time", "'noon' is no date and time"),
        (["2026-01-01T12:00:00"], "", "", "timezone", "0.bin says 2026-01-01T12:00:00, the time of the place"),
        (["2026-01-01T12:00:00"], "", "Mars/Olympus", "timezone", "no zone 'Mars/Olympus'"),
        (["2026-01-01T12:00:00"], "", "../etc", "timezone", "no zone '../etc'"),
        (
            [],
            "2026-03-29T02:30",
            "Europe/Zurich",
            "session_start_time",
            "which was never in Europe",
        ),
        (["2026-10-25T02:30:00"], "", "Europe/Zurich", "session_start_time", "0.bin says .* which was twice in Europe"),
    ],
)
def test_what_is_lacking(started, given, zone, key, words):
    with pytest.raises(StartUnknownError, match=words) as caught:
        session_start(recordings(*started), given, zone)
    assert caught.value.key == key
