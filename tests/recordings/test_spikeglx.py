"""SpikeGLX against the truth of real files, probeinterface and neo, and what it makes of damaged ones."""

import json
import re
import shutil
import tracemalloc
from pathlib import Path

import mtscomp
import numpy as np
import pytest

from neuroluigi.recordings.formats import spikeglx
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.neuropixels import Probe
from neuroluigi.recordings.formats.reader import RecordedFile, Sync
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations

TRUTH = json.loads((FORMATS / "truth.json").read_text()) if FORMATS.is_dir() else {"spikeglx_files": {}}
ROWS = TRUTH["spikeglx_files"]
METAS = sorted(name for name in ROWS if "/metas/" in name)
WITH_DATA = sorted(set(ROWS) - set(METAS))
CI0 = FORMATS / "spikeglx/CI0_overlap1/5-19-2022-CI0"
AP = CI0 / "5-19-2022-CI0_g0/5-19-2022-CI0_g0_imec0/5-19-2022-CI0_g0_t0.imec0.ap.meta"
LF = AP.with_name(AP.name.replace(".ap.", ".lf."))
NIDQ = FORMATS / "spikeglx/DigitalChannelTest_g0/DigitalChannelTest_g0_t0.nidq.meta"
SAMPLES = 20


def read(folder: Path) -> list[RecordedFile]:
    names = sorted(path.name for path in folder.iterdir())
    assert spikeglx.claims(str(folder), names)
    return spikeglx.recordings_in(str(folder), names)


def only(folder: Path) -> RecordedFile:
    (recording,) = read(folder)
    return recording


def made(folder: Path, meta: Path, name: str = "run_g0_t0.imec0.ap", size: int | None = None, **values) -> Path:
    """Write a .meta with other values (None: without the key) and a .bin of SAMPLES samples, or of `size` bytes."""
    text = meta.read_text()
    saved = values.get("nSavedChans") or re.search(r"^nSavedChans=(\d+)", text, re.MULTILINE)[1]
    size = SAMPLES * 2 * int(saved) if size is None else size
    for key, value in {"fileSizeBytes": size, **values}.items():
        key = f"~{key}" if f"\n~{key}=" in text or key in ("snsGeomMap", "snsShankMap") else key
        line = "" if value is None else f"{key}={value}\n"
        text, times = re.subn(rf"^{re.escape(key)}=.*\n", lambda _, line=line: line, text, flags=re.MULTILINE)
        text += "" if times else line
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.meta").write_text(text)
    (folder / f"{name}.bin").write_bytes(bytes(size))
    return folder


def problem(folder: Path) -> str:
    (text,) = only(folder).problems
    assert str(folder) in text and "\n" not in text
    return text


def scales(recording: RecordedFile, kind: str) -> list[float | None]:
    """Return the scales of the channels of a kind, each once."""
    return list(dict.fromkeys(channel.scale for channel in recording.channels if channel.kind == kind))


def check_truth(recording: RecordedFile, row: dict) -> None:
    assert recording.problems == recording.warnings == ()
    assert recording.sampling_rate_hz == row["rate"] and recording.start_sample == row["firstSample"]
    assert len(recording.channels) == row["channels"] and recording.dtype == "int16"
    kinds = [channel.kind for channel in recording.channels]
    if "ap,lf,sync" in row:
        ap, lf, sync = row["ap,lf,sync"]
        assert kinds == ["ap"] * ap + ["lf"] * lf + ["digital"] * sync
    for kind in ("ap", "lf"):
        if scale := row.get(f"uV_per_count_{kind}"):
            assert scales(recording, kind) == pytest.approx([scale], rel=1e-12)
    assert {(one.unit, one.offset) for one in recording.channels} <= {("uV", 0.0), ("", None)}


@pytest.mark.parametrize("name", WITH_DATA)
def test_real_recordings(name):
    found = {one.path: one for one in read((FORMATS / name).parent)}
    recording = found[str((FORMATS / name).with_suffix(".bin"))]
    check_truth(recording, ROWS[name])
    (part,) = recording.parts
    assert (part.path, part.offset, part.samples) == (recording.path, 0, ROWS[name]["samples"])
    assert recording.samples == ROWS[name]["samples"] and recording.rest_bytes == 0 and recording.gaps == ()
    assert recording.sidecars[0] == str(FORMATS / name)


@pytest.mark.parametrize("name", METAS)
def test_real_headers(name, tmp_path):
    recording = only(made(tmp_path, FORMATS / name))
    check_truth(recording, ROWS[name])
    assert recording.samples == SAMPLES


# By the maps of sites in these files: reference sites, whose noise looks normal.
UNUSED = {
    "phase3a.imec.ap": [36, 75, 112, 151, 188, 227, 264, 303, 340, 379],
    "NP2_4_shanks.imec0.ap": [127],
    "NP2_4_shanks_save_different_electrodes.imec0.ap": [127],
    "p2_g0_t0.imec0.ap": [127],
    "Noise_g0_t0.imec0.ap": [191],
    "allan-longcol_g0_t0.imec0.ap": [191],
    "catgt": [191],
    "doppio-checkerboard_t0.imec0.ap": [191],
    "non_human_primate_long_staggered.imec0.ap": [191],
    "non_human_primate_short_linear_probe_type_0": [191],
}


@pytest.mark.parametrize("name", METAS)
def test_sites_are_those_of_probeinterface(name, tmp_path):
    probeinterface = pytest.importorskip("probeinterface")
    recording = only(made(tmp_path, FORMATS / name))
    sites = [channel for channel in recording.channels if channel.kind == "ap"]
    probe = probeinterface.read_spikeglx(FORMATS / name)
    assert [[one.x, one.y] for one in sites] == pytest.approx(probe.contact_positions)
    shanks = [0] * len(sites) if probe.shank_ids is None else [int(shank) for shank in probe.shank_ids]
    assert [one.shank for one in sites] == shanks
    assert [i for i, one in enumerate(sites) if not one.used] == UNUSED.get(Path(name).stem, [])


@pytest.mark.parametrize("name", [name for name in METAS if "NP1110" not in name])
def test_sites_by_the_table_of_electrodes_alone(name, tmp_path):
    # As in an lf file, which has no map.
    with_map = only(made(tmp_path / "a", FORMATS / name))
    without = only(made(tmp_path / "b", FORMATS / name, snsGeomMap=None, snsShankMap=None))
    assert [(one.x, one.y, one.shank) for one in without.channels] == [
        (one.x, one.y, one.shank) for one in with_map.channels
    ]
    assert {one.used for one in without.channels} == {None}


@needs_formats
@pytest.mark.parametrize("name", ["NP2020_sample_g0_t0.imec0.ap", "NP2_2013_subset_channels.imec0.ap"])
def test_sites_of_a_part_that_is_not_known_yet(name, tmp_path):
    meta = FORMATS / f"spikeglx/metas/{name}.meta"
    known, unknown = only(made(tmp_path / "a", meta)), only(made(tmp_path / "b", meta, imDatPrb_pn="NP9999"))
    # Those of 2026 have all dimensions; before, the distances are right.
    shift = {0.0} if "2020" in name else {27.0}
    pairs = list(zip(known.channels, unknown.channels, strict=True))[:120]
    assert {other.x - one.x for one, other in pairs} == shift
    assert {(other.y - one.y, other.shank - one.shank, other.used) for one, other in pairs} == {(0, 0, True)}


@needs_formats
def test_an_lf_file_takes_its_sites_from_the_ap_file_of_the_probe(tmp_path):
    lf = {one.path: one for one in read(AP.parent)}[str(LF.with_suffix(".bin"))]
    assert lf.sidecars == (str(LF), str(AP))
    assert [i for i, one in enumerate(lf.channels) if one.used is False] == [191]
    assert (lf.channels[2].x, lf.channels[2].y, lf.channels[2].name) == (0, 20, "LF2")
    # Alone, or beside that of another probe, it has what its own table says.
    made(tmp_path, LF, "run_g0_t0.imec0.lf")
    assert only(tmp_path).sidecars == (str(tmp_path / "run_g0_t0.imec0.lf.meta"),)
    made(tmp_path, AP, imroTbl="(0,384)(0 1 0 500 250 1)")
    alone = read(tmp_path)[1]
    assert len(alone.sidecars) == 1 and {one.used for one in alone.channels} == {None}
    assert [(one.x, one.y) for one in alone.channels] == [(one.x, one.y) for one in lf.channels]


def neo_streams(folder: Path) -> dict[str, tuple[int, list[float]]]:
    """Return samples and gains by stream, as neo reads them."""
    rawio = pytest.importorskip("neo.rawio")
    reader = rawio.SpikeGLXRawIO(folder)
    reader.parse_header()
    return {
        str(stream["name"]): (
            reader.get_signal_size(0, 0, i),
            [float(c["gain"]) for c in reader.header["signal_channels"] if c["stream_id"] == stream["id"]],
        )
        for i, stream in enumerate(reader.header["signal_streams"])
    }


def check_neo(recording: RecordedFile) -> None:
    streams = neo_streams(Path(recording.path).parent)
    # It names the stream as the .meta does, by the number of the probe when it was recorded.
    ((samples, gains),) = (stream for name, stream in streams.items() if "SYNC" not in name)
    assert samples == recording.samples
    # The sync words are a stream of their own, of which the gain is no truth.
    scales = [one.scale for one in recording.channels if one.scale is not None]
    assert scales and gains[: len(scales)] == pytest.approx(scales)


@pytest.mark.parametrize("name", [name for name in WITH_DATA if "imec" in name])
def test_neo_reads_the_same(name, tmp_path):
    check_neo(only(made(tmp_path, FORMATS / name, f"run_g0_t0.imec0.{name[-7:-5]}")))


@pytest.mark.parametrize("name", [name for name in METAS if "NP1110" not in name])
def test_neo_reads_the_same_of_other_probes(name, tmp_path):
    check_neo(only(made(tmp_path, FORMATS / name)))


@pytest.mark.parametrize("name", [name for name in METAS if "NP1110" in name])
def test_neo_fails_for_probes_of_groups_of_electrodes(name, tmp_path):
    with pytest.raises(IndexError):
        neo_streams(made(tmp_path, FORMATS / name))


@needs_formats
def test_neo_fails_where_a_probe_is_missing_in_a_gate():
    with pytest.raises(KeyError):
        neo_streams(CI0)


@needs_formats
def test_neo_gives_the_last_channel_another_gain_without_sync_words(tmp_path):
    meta = FORMATS / "spikeglx/metas/NP2_2013_all_channels.imec0.ap.meta"
    made(tmp_path, meta, snsApLfSy="384,0,0", nSavedChans=384, snsSaveChanSubset="0:383")
    recording = only(tmp_path)
    assert recording.problems == () and scales(recording, "ap") == pytest.approx([3.02734375])
    ((_, gains),) = neo_streams(tmp_path).values()
    assert gains[-1] == pytest.approx(302.734375) and gains[:-1] == pytest.approx([3.02734375] * 383)


@needs_formats
def test_what_the_name_says():
    def columns(name: str) -> tuple[str, ...]:
        (recording,) = spikeglx.recordings_in("/nowhere", [name])
        return tuple(recording.columns[key] for key in ("session", "index", "gate", "trigger", "stream", "probe"))

    assert columns("mouse_g1_x_g0_t12.imec3.lf.bin") == ("mouse_g1_x", "12", "0", "12", "imec3.lf", "3")
    assert columns("mouse_g10_tcat.imec0.ap.meta") == ("mouse", "0", "10", "cat", "imec0.ap", "0")
    assert columns("Mäuse 1_g0_t0.nidq.bin") == ("Mäuse 1", "0", "0", "0", "nidq", "")
    assert columns("m_g0_t0.obx0.obx.bin") == ("m", "0", "0", "0", "obx0.obx", "")
    assert columns("phase3a.imec.ap.bin") == ("phase3a", "0", "", "", "imec.ap", "")
    assert columns("x.ap.bin") == ("x", "0", "", "", "ap", "")
    for name in ("x.bin", "x.meta", "ap.bin", "x_g0_t0.imec0.ap.csv", "x.imec0.ap", ".ap.bin", "amplifier.dat"):
        assert not spikeglx.claims("/nowhere", [name]), name


@needs_formats
def test_what_the_header_says_of_the_session():
    first = read(AP.parent)[0]
    assert first.columns == {
        "session": "5-19-2022-CI0", "index": "0", "gate": "0", "trigger": "0", "stream": "imec0.ap", "probe": "0",
        "processing": "none",
        "probe_type": "0", "probe_serial": "18194803162", "created": "2022-05-19T17:37:47",
    }  # fmt: skip
    others = [one for folder in sorted(CI0.glob("*/*imec*")) for one in read(folder)]
    clocks = {}
    for one in others:
        clocks.setdefault(one.clock, []).append(one.columns["stream"])
    # Gates and triggers share a counter, probes and bands don't.
    assert sorted(clocks.values()) == [["imec0.ap"] * 4, ["imec0.lf"] * 4, ["imec1.ap"] * 2, ["imec1.lf"] * 2]


@needs_formats
def test_a_subset_of_channels_keeps_names_gains_and_sites_in_the_order_of_the_file(tmp_path):
    meta = FORMATS / "spikeglx/metas/NP2_2013_subset_channels.imec0.ap.meta"
    channels = only(made(tmp_path, meta)).channels
    assert [one.name for one in channels[34:38]] == ["AP34", "AP35", "AP72", "AP73"] and channels[-1].name == "SY0"
    # Of NP1.0, with gains that differ per channel, and the lf channels in the same file.
    table = "".join(f"({i} 0 0 {500 + i} {250 + i} 1)" for i in range(384))
    made(
        tmp_path / "b", AP, imroTbl=f"(0,384){table}", snsShankMap=None,
        snsSaveChanSubset="3,100:101,384,387,768", snsApLfSy="3,2,1", nSavedChans=6,
    )  # fmt: skip
    channels = only(tmp_path / "b").channels
    # 0.6 V / 512 counts / gain, by hand.
    gains = [503, 600, 601, 250, 253]
    assert [one.scale for one in channels] == [*(pytest.approx(1171.875 / gain) for gain in gains), None]
    assert [one.name for one in channels] == ["AP3", "AP100", "AP101", "LF0", "LF3", "SY0"]
    assert [one.kind for one in channels] == ["ap"] * 3 + ["lf"] * 2 + ["digital"]
    assert [(one.x, one.y) for one in channels[:3]] == [(32, 20), (16, 1000), (48, 1000)]


# imroTbl, other values, and uV per count of channel 0, by hand: range / counts / gain.
GAINS = {
    "type 21, 80": ("(21,384)(0 1 0 0)", {"imMaxInt": "8192", "imAiRangeMax": "0.5"}, 0.5 / 8192 / 80 * 1e6),
    "type 24, 80": ("(24,384)(0 1 0 0 0)", {"imMaxInt": "8192", "imAiRangeMax": "0.5"}, 0.5 / 8192 / 80 * 1e6),
    "type 2003, 100": ("(2003,384)(0 1 0 0)", {"imMaxInt": "2048", "imAiRangeMax": "0.62"}, 0.62 / 2048 / 100 * 1e6),
    "type 2013, 100": ("(2013,384)(0 1 0 0 0)", {"imMaxInt": "2048", "imAiRangeMax": "0.62"}, 0.62 / 2048 / 100 * 1e6),
    "part, 100": ("(NP2013,384)(0 1 0 0 0)", {"imMaxInt": "2048", "imAiRangeMax": "0.62"}, 0.62 / 2048 / 100 * 1e6),
    "part, per channel": ("(NP1010,384)(0 0 0 1000 250 1)", {}, 0.6 / 512 / 1000 * 1e6),
    "3A, no imMaxInt": ("(262720641,3,384)(0 0 0 250 125)", {"imMaxInt": None}, 0.6 / 512 / 250 * 1e6),
    "NP1110": ("(1110,2,0,1500,250,1)(0 5 5)", {}, 0.6 / 512 / 1500 * 1e6),
    "human, no imMaxInt": ("(1300,384)(0 0 0 50 25 1)", {"imMaxInt": None}, 0.6 / 512 / 50 * 1e6),
    "unknown with imChan0apGain": ("(9999,384)(0 0)", {"imChan0apGain": "40"}, 0.6 / 512 / 40 * 1e6),
    "unknown": ("(9999,384)(0 0 0 500 250 1)", {}, None),
    "of 14 bits, no imMaxInt": ("(24,384)(0 1 0 0 0)", {"imMaxInt": None}, None),
    "no table": ("", {}, None),
    "no range": ("(0,384)(0 0 0 500 250 1)", {"imAiRangeMax": None}, None),
    "gain 0": ("(0,384)(0 0 0 0 0 1)", {}, None),
}


@needs_formats
@pytest.mark.parametrize("case", GAINS)
def test_gains(case, tmp_path):
    table, values, scale = GAINS[case]
    channel = {"snsApLfSy": "1,0,1", "nSavedChans": 2, "snsSaveChanSubset": "0,768", "snsShankMap": None}
    recording = only(made(tmp_path, AP, imroTbl=table, **channel, **values))
    first = recording.channels[0]
    assert recording.problems == () and recording.samples == SAMPLES
    if scale is None:
        # Usable, as counts, and said.
        assert (first.scale, first.offset, first.unit) == (None, None, "")
        (warning,) = recording.warnings
        assert "does not say the gain of channels AP" in warning and str(tmp_path) in warning
    else:
        assert (first.scale, first.unit, recording.warnings) == (pytest.approx(scale), "uV", ())


@needs_formats
def test_nidq_with_all_kinds_of_channels(tmp_path):
    made(
        tmp_path, NIDQ, "run_g0_t0.nidq", acqMnMaXaDw="2,1,3,2", snsMnMaXaDw="1,1,2,2", nSavedChans=6,
        snsSaveChanSubset="1,2,3,5,6,7", niMAGain=4, snsChanMap="(0,0,32,0,1)(my word;6:4)",
    )  # fmt: skip
    channels = only(tmp_path).channels
    # 5 V / 32768 counts / gain: 200 for MN, 4 for MA, 1 for XA.
    assert [(one.kind, one.scale, one.unit) for one in channels] == [
        ("ap", pytest.approx(5 / 32768 / 200 * 1e6), "uV"),
        ("analog", pytest.approx(5 / 32768 / 4), "V"),
        ("analog", pytest.approx(5 / 32768), "V"),
        ("analog", pytest.approx(5 / 32768), "V"),
        ("digital", None, ""),
        ("digital", None, ""),
    ]
    assert [one.name for one in channels] == ["MN1", "MA0", "XA0", "XA2", "my word", "XD1"]
    assert {one.used for one in channels} == {None}


@needs_formats
def test_files_of_one_folder_have_their_own_channels_and_clocks(tmp_path):
    for i, table in enumerate(["(0,384)(0 0 0 500 250 1)", "(0,384)(0 0 0 1000 250 1)"]):
        made(tmp_path, AP, f"run_g0_t{i}.imec0.ap", imroTbl=table, imDatPrb_sn=i, snsApLfSy="1,0,0", nSavedChans=1,
             snsSaveChanSubset="0", snsShankMap=None)  # fmt: skip
    one, other = read(tmp_path)
    assert one.channels[0].scale == pytest.approx(2 * other.channels[0].scale)
    # Another probe at the same place counts on its own.
    assert one.clock and one.clock != other.clock


@needs_formats
@pytest.mark.parametrize(("source", "kind"), [(AP, "AP"), (LF, "LF")], ids=["ap", "lf"])
def test_all_channels_of_a_file_have_their_own_numbers(tmp_path, source, kind):
    whole = only(made(tmp_path, source, f"run_g0_t0.imec0.{kind.lower()}", snsSaveChanSubset="all", snsChanMap=None))
    assert [one.name for one in whole.channels] == [*(f"{kind}{i}" for i in range(384)), "SY0"]
    assert whole.channels[2].y == 20


@needs_formats
def test_onebox(tmp_path):
    text = "typeThis=obx\nobSampRate=30303.25\nobMaxInt=32768\nobAiRangeMax=5\nacqXaDwSy=12,1,1\nsnsXaDwSy=2,1,1\n"
    (tmp_path / "m_g0_t0.obx0.obx.meta").write_text(
        text + "nSavedChans=4\nsnsSaveChanSubset=0,11:13\nfirstSample=7\nfileSizeBytes=80\n"
    )
    (tmp_path / "m_g0_t0.obx0.obx.bin").write_bytes(bytes(80))
    recording = only(tmp_path)
    assert (recording.sampling_rate_hz, recording.samples, recording.start_sample) == (30303.25, 10, 7)
    assert recording.warnings == recording.problems == ()
    assert [one.name for one in recording.channels] == ["XA0", "XA11", "XD0", "SY0"]
    assert [one.scale for one in recording.channels] == [pytest.approx(5 / 32768)] * 2 + [None] * 2
    assert [one.kind for one in recording.channels] == ["analog", "analog", "digital", "digital"]
    assert [one.bits for one in recording.channels] == [None, None, None, ("",) * 6 + ("sync",)]


@needs_formats
@pytest.mark.parametrize(("line", "bits"), [("0", ("sync",)), ("5", ("",) * 5 + ("sync",)), ("16", None), ("x", None)])
def test_the_line_of_the_pulses_that_all_devices_get_is_named(tmp_path, line, bits):
    (source,) = (FORMATS / "spikeglx/DigitalChannelTest_g0").rglob("*.nidq.meta")
    text = source.read_text().replace("syncNiChan=0", f"syncNiChan={line}")
    (tmp_path / source.name).write_text(text)
    (tmp_path / source.with_suffix(".bin").name).write_bytes(bytes(2))
    assert only(tmp_path).channels[0].bits == bits
    # Of an analog one there is no bit.
    (tmp_path / source.name).write_text(text.replace("syncNiChanType=0", "syncNiChanType=1"))
    assert only(tmp_path).channels[0].bits is None


@needs_formats
def test_what_catgt_makes_of_the_full_band(tmp_path):
    meta = FORMATS / "spikeglx/metas/NP2_2013_all_channels.imec0.ap.meta"
    lf = only(made(tmp_path, meta, "m_g0_tcat.imec0.lf", snsApLfSy="0,384,1", imSampRate="2500"))
    assert lf.problems == () and scales(lf, "lf") == pytest.approx([3.02734375])
    assert (lf.columns["trigger"], lf.columns["index"]) == ("cat", "0")
    assert (lf.channels[1].x, lf.channels[1].y) == (32, 0)


@needs_formats
def test_a_run_that_was_not_ended_is_usable_without_a_counter(tmp_path):
    made(tmp_path, AP, firstSample=None, fileTimeSecs=None)
    meta = tmp_path / "run_g0_t0.imec0.ap.meta"
    meta.write_text(re.sub(r"^fileSizeBytes=.*\n", "", meta.read_text(), flags=re.MULTILINE))
    recording = only(tmp_path)
    assert (recording.samples, recording.start_sample, recording.clock, recording.problems) == (SAMPLES, None, "", ())
    (warning,) = recording.warnings
    assert warning.startswith(f"{meta} has no firstSample") and "not ended" in warning


@needs_formats
def test_a_size_that_differs_is_a_warning_and_the_file_counts(tmp_path):
    recording = only(made(tmp_path, AP, size=770 * 5, fileSizeBytes=231000))
    assert recording.samples == 5 and recording.problems == () and recording.rest_bytes == 0
    (warning,) = recording.warnings
    assert "says 231000 bytes, run_g0_t0.imec0.ap.bin has 3850; the file counts" in warning


@needs_formats
def test_a_rest_of_less_than_a_sample_stays_visible(tmp_path):
    recording = only(made(tmp_path, AP, size=770 * 5 + 3))
    assert (recording.samples, recording.rest_bytes, recording.problems) == (5, 3, ())
    assert "3 bytes after the last whole one" in recording.warnings[0]


@needs_formats
def test_bad_input_fails_that_recording_alone(tmp_path):
    # Words, and what is wrong.
    cases = {
        "which is not the sum of snsApLfSy=384,0,1": {"nSavedChans": 384},
        "other channels in snsSaveChanSubset=0:3,768": {"snsSaveChanSubset": "0:3,768"},
        "other channels in snsSaveChanSubset=0:99999999999": {"snsSaveChanSubset": "0:99999999999"},
        "has no sampling rate (imSampRate)": {"imSampRate": None},
        "sampling rate": {"imSampRate": "nan"},
        "not the sum of snsApLfSy=,": {"snsApLfSy": ","},
        "has no samples: 0 bytes": {"size": 0},
    }
    for i, (words, values) in enumerate(cases.items()):
        assert words in problem(made(tmp_path / str(i), AP, **values))
    folder = made(tmp_path / "x", AP)
    made(folder, AP, "run_g0_t1.imec0.ap", nSavedChans=384)
    made(folder, AP, "run_g0_t2.imec0.ap")
    made(folder, AP, "run_g0_t3.imec0.ap")
    (folder / "run_g0_t2.imec0.ap.bin").unlink()
    (folder / "run_g0_t3.imec0.ap.meta").unlink()
    shutil.copy(folder / "run_g0_t0.imec0.ap.meta", folder / "run_g0_t4.imec0.ap.meta")
    (folder / "run_g0_t4.imec0.ap.cbin").write_bytes(b"")
    good, wrong, no_data, no_meta, packed = read(folder)
    assert good.problems == () and "nSavedChans" in wrong.problems[0]
    assert f"{folder}/run_g0_t2.imec0.ap.bin can't be read: it is not there" in no_data.problems[0]
    assert f"{folder}/run_g0_t3.imec0.ap.meta can't be read: it is not there" in no_meta.problems[0]
    assert f"{folder}/run_g0_t4.imec0.ap.ch can't be read: it is not there" in packed.problems[0]
    assert [one.columns["index"] for one in (good, wrong, no_data, no_meta, packed)] == list("01234")


@needs_formats
def test_what_mtscomp_has_compressed_is_decoded(tmp_path):
    folder = made(tmp_path, AP)
    path, plain = folder / "run_g0_t0.imec0.ap.bin", only(folder)
    values = np.random.default_rng(3).integers(-999, 999, (SAMPLES, 385)).astype("<i2")
    values.tofile(path)
    how = {"sample_rate": 30000.0, "n_channels": 385, "dtype": np.int16, "n_threads": 1, "quiet": True}
    mtscomp.compress(path, path.with_suffix(".cbin"), path.with_suffix(".ch"), **how)
    # The file of before counts while it is there.
    assert only(folder).path == str(path) and not only(folder).is_encoded
    path.unlink()
    packed = only(folder)
    assert (packed.path, packed.parts, packed.problems) == (str(path.with_suffix(".cbin")), (), ())
    assert packed.sidecars == (str(path.with_suffix(".meta")), str(path.with_suffix(".ch")))
    for name in ("samples", "channels", "sampling_rate_hz", "start_sample", "clock", "columns", "warnings"):
        assert getattr(packed, name) == getattr(plain, name), name
    assert np.array_equal(np.concatenate(list(decoded_blocks(packed))), values)
    said = json.loads(path.with_suffix(".ch").read_text())
    path.with_suffix(".ch").write_text(json.dumps({**said, "n_channels": 384}))
    assert "says 384 channels, " in problem(folder)
    files = {one.name: one.read_bytes() for one in folder.iterdir()}
    files[path.with_suffix(".ch").name] = json.dumps(said).encode()
    for changed in (".ch", ".cbin"):
        check_mutations(spikeglx, files, path.with_suffix(changed).name, tmp_path / "hostile")


@needs_formats
@pytest.mark.parametrize("source", [AP, LF, NIDQ], ids=["ap", "lf", "nidq"])
def test_damaged_headers(source, tmp_path):
    stem = f"r_g0_t0.{'nidq' if source is NIDQ else 'imec0.' + source.name[-7:-5]}"
    files = {f"{stem}.bin": bytes(1 << 14), f"{stem}.meta": source.read_bytes()}
    if source is LF:
        files["r_g0_t0.imec0.ap.meta"] = AP.read_bytes()
    check_mutations(spikeglx, files, f"{stem}.meta", tmp_path)


@pytest.mark.parametrize(
    "line",
    ["nSavedChans=65536\nsnsApLfSy=65536,0,0\nsnsSaveChanSubset=0:65535\n~imroTbl=" + "(0 0 0 1 1 1)" * 70000,
     "\n".join(f"{i}=" for i in range(140000)), "=" * 1000000, "~snsShankMap=" + "(" * 500000 + ")" * 500000,
     "~snsChanMap=" + "(a;1:1)" * 140000, "snsSaveChanSubset=" + "0:65535," * 100000],
    ids=["channels", "keys", "equals", "brackets", "names", "ranges"],
)  # fmt: skip
def test_a_hostile_header_takes_no_more_than_100_mb(line, tmp_path):
    (tmp_path / "r.ap.bin").write_bytes(bytes(1 << 18))
    base = "imSampRate=30000\nacqApLfSy=65536,0,0\nimAiRangeMax=1\nnSavedChans=2\nsnsApLfSy=2,0,0\n"
    (tmp_path / "r.ap.meta").write_text(base + line)
    tracemalloc.start()
    read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_gain_of_a_channel_is_by_its_number_on_the_probe():
    probe = Probe({"~imroTbl": "(0,384)(7 0 0 500 250 1)(3 0 0 1000 125 1)"})
    assert (probe.gain(3, False), probe.gain(7, True), probe.gain(0, False)) == (1000, 250, None)


@needs_formats
def test_the_pulses_of_all_devices_and_the_clock_of_the_run(tmp_path):
    recording = next(one for one in read(AP.parent) if one.path.endswith(".ap.bin"))
    run = f"spikeglx {recording.columns['session']}"
    text = AP.read_text()
    period = float(re.search(r"^syncSourcePeriod=(.*)", text, re.MULTILINE)[1])
    is_off = "\nsyncSourceIdx=0" in text
    assert recording.sync == Sync(
        run, 0, 0.0, 0.1, channel=384, bit=6, period=None if is_off else period, is_on=not is_off
    )
    assert only(NIDQ.parent).sync == Sync(
        "spikeglx DigitalChannelTest", 0, 0.0, 0.1, channel=0, bit=0, period=1.0, is_on=True
    )
    # Without a counter nothing is known.
    assert only(made(tmp_path / "a", AP, firstSample=None)).sync is None
    assert only(made(tmp_path / "b", AP, syncSourceIdx=2, syncSourcePeriod=2)).sync.period == 2
    assert only(made(tmp_path / "c", AP, syncSourceIdx=0)).sync.period is None


@needs_formats
@pytest.mark.parametrize(("number", "channel"), [("5", 3), ("4", None), ("x", None)])
def test_an_analog_channel_with_the_pulses_is_one_of_those_that_were_acquired(tmp_path, number, channel):
    made(
        tmp_path, NIDQ, "run_g0_t0.nidq", acqMnMaXaDw="2,1,3,2", snsMnMaXaDw="1,1,2,2", nSavedChans=6,
        snsSaveChanSubset="1,2,3,5,6,7", syncNiChanType=1, syncNiChan=number,
    )  # fmt: skip
    assert only(tmp_path).sync == Sync(
        "spikeglx run", 0, 0.0, 0.1, channel=channel, threshold=1.1, period=1.0, is_on=True
    )
