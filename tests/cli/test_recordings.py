"""`neuroluigi recordings` prints what was found."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from neuroluigi.recordings.concatenation import describe_concatenation
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration
from tests import commands
from tests.conftest import BIN, FORMATS, REPOSITORY, clean_environment, needs_formats
from tests.recordings.files import write_files, write_table
from tests.recordings.test_found import write_run
from tests.recordings.test_openephys import made as made_openephys
from tests.recordings.test_openephys import stream


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with recordings of 10 bytes: a/rec_0.bin to rec_2.bin, b/rec_0.bin."""
    folder = tmp_path / "data"
    write_files(folder, "a/rec_0.bin", "a/rec_1.bin", "a/rec_2.bin", "b/rec_0.bin")
    return folder


def neuroluigi(folder: Path, *arguments, code: int = 0) -> subprocess.CompletedProcess:
    """Run `neuroluigi` in a folder with this pipeline's tasks."""
    folder.mkdir(exist_ok=True)
    for name in ("tasks.py", "targets.py", "luigi.cfg"):
        shutil.copy(REPOSITORY / name, folder)
    before = sorted(folder.iterdir())
    done = commands.run(
        [BIN / "neuroluigi", *map(str, arguments)],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    # It only looks.
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before
    return done


def test_command_prints_fake_recordings_before_any_run(tmp_path):
    out = neuroluigi(tmp_path / "lab", "recordings").stdout
    lines = out.splitlines()
    assert lines[0].split() == ["group", "session", "index", "dtype", "channels", "rate", "[Hz]", "samples", "file"]
    assert lines[1].split() == ["a-even", "a", "0", "uint8", "1", "recordings/a/rec_0.bin", "(to", "be", "made)"]
    assert lines[2].split()[:3] == ["a", "2", "uint8"]
    assert lines[-1] == "20 recordings in 10 groups, 0 left out."


def test_command_prints_table_and_json(root, tmp_path):
    write_table(
        root,
        "session,index,path,dtype,channels,sampling_rate_hz,use,reason",
        "[bold]猫,0,a/rec_0.bin,int16,1,250.5,,",
        "[bold]猫,1,gone.bin,int16,1,250.5,no,broke [red]off",
        "b,0,b/rec_0.bin,uint8,5,,,",
    )
    out = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root).stdout
    lines = [line.split() for line in out.splitlines()]
    assert lines[1] == ["[bold]猫", "[bold]猫", "0", "int16", "1", "250.5", "5", str(root / "a/rec_0.bin")]
    assert "(left out: broke [red]off)" in out
    assert lines[3] == ["b", "b", "0", "uint8", "5", "2", str(root / "b/rec_0.bin")]
    assert out.splitlines()[-1] == "2 recordings in 2 groups, 1 left out."

    listed = json.loads(neuroluigi(tmp_path / "lab", "recordings", "--json", "--recordings-root", root).stdout)
    assert list(listed) == ["[bold]猫", "b"]
    assert listed["[bold]猫"]["values"] == {"session": "[bold]猫"}
    assert listed["[bold]猫"]["recordings"][0]["samples"] == 5
    assert listed["[bold]猫"]["recordings"][0]["path"] == str(root / "a/rec_0.bin")
    assert [r["index"] for r in listed["[bold]猫"]["excluded"]] == [1]
    assert listed["[bold]猫"]["excluded"][0]["reason"] == "broke [red]off"
    assert listed["b"]["problems"] == []


def test_command_lists_problems_last_and_fails(root, tmp_path):
    write_table(root, "session,index,path", "s,0,gone.bin", "t,x,b/rec_0.bin", "u,0,a/rec_0.bin")
    for options in ([], ["--json"]):
        out = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root, *options, code=1).stdout
        assert "column path: 'gone.bin'" in out
        assert "column index: 'x'" in out
    listed = json.loads(out)
    assert [bool(group["problems"]) for group in listed.values()] == [True, True, False]
    assert listed["s"]["recordings"][0]["samples"] is None
    assert "2 of 3 groups have a problem: a run can't make their results." in last_of(root, tmp_path)


def last_of(root, tmp_path):
    return neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root, code=1).stdout.splitlines()[-1]


def test_command_says_the_order_of_sessions_and_where_samples_are_missing(root, tmp_path):
    rows = ("s,0,a/rec_0.bin,yes", "s,1,a/rec_1.bin,no", "s,2,a/rec_2.bin,yes", "r,5,b/rec_0.bin,yes")
    write_table(root, "session,index,path,use,area", *(f"{row},x" for row in rows))
    options = ("recordings", "--recordings-root", root, "--recordings-group-by", "area")
    out = neuroluigi(tmp_path / "lab", *options).stdout
    assert [line.split()[-1].rpartition("data/")[2] for line in out.splitlines()[1:4]] == [
        "b/rec_0.bin", "a/rec_0.bin", "a/rec_2.bin"
    ]  # fmt: skip
    assert out.endswith("Groups of several sessions are in the order of session, then index.\n")
    out = neuroluigi(tmp_path / "lab", *options, "--recordings-contiguous", "true").stdout
    gaps = "session s follows session r; s/1 is not in the group"
    assert out.splitlines()[-1] == f"not contiguous in x: {gaps}"


def test_command_says_what_else_is_there(root, tmp_path):
    (root / "a/x.plx").touch()
    done = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root)
    assert done.stdout.splitlines()[-1] == "Also there, and not read: 1 .plx file (format = neo)."
    for path in root.glob("*/*.bin"):
        path.unlink()
    done = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root, code=1)
    assert "luigi: no recordings in " in done.stderr and done.stderr.endswith(" 1 .plx file (format = neo).\n")


def test_command_says_what_it_left_out(root, tmp_path):
    (root / "a/rec_7.BIN").write_bytes(b"x")
    done = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root)
    note = f"left out of the recordings in {root}: a/rec_7.BIN: it differs from {{session}}/rec_"
    assert done.stdout.count("a/rec_7.BIN") == 1 and f"\nwarning: {note}" in done.stdout and done.stderr == ""
    done = neuroluigi(tmp_path / "lab", "recordings", "--csv", "--recordings-root", root)
    assert "a/rec_7.BIN" not in done.stdout and done.stderr.startswith(f"neuroluigi: {note}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recordings-root", "nowhere"], "recordings folder nowhere is not there"),
        (["--recordings-partial-sample", "maybe"], "[recordings] partial_sample (--recordings-partial-sample)"),
        (["--recordings-channels", "two"], "[recordings] channels (--recordings-channels)"),
        (["--recordings-rooot", "x"], "there is no option --recordings-rooot; did you mean --recordings-root?"),
        (["--recordings-root"], "--recordings-root: expected one argument"),
        (["surplus"], "unrecognized arguments: surplus"),
    ],
)
def test_command_refuses(tmp_path, arguments, message):
    process = neuroluigi(tmp_path / "lab", "recordings", *arguments, code=2 if "argument" in message else 1)
    assert message in process.stderr.splitlines()[-1]
    assert process.stdout == ""


def test_command_without_tasks_says_where_it_looked(tmp_path):
    done = commands.run(
        [BIN / "neuroluigi", "recordings"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"there is no tasks.py in {tmp_path}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def found_by(out: str) -> dict:
    """Return of each group of `recordings --json` what its recordings are, by whatever they were found."""
    names = ("session", "index", "path", "dtype", "channels", "sampling_rate_hz", "samples", "columns")
    return {
        key: (group["values"], group["problems"], [{name: r[name] for name in names} for r in group["recordings"]])
        for key, group in json.loads(out).items()
    }


def test_command_prints_a_table_that_gives_the_same_groups(root, tmp_path):
    lab, raw = tmp_path / "lab", tmp_path / "raw"
    for trigger in (0, 1):
        write_run(raw / "=x", f"mäuse_g0_t{trigger}.imec0.ap", start=10 * trigger)
    write_run(raw, "m, 2_g1_t0.imec1.lf", start=None)
    write_run(raw, "no_bin_g0_t0.imec0.ap").unlink()
    made_openephys(raw / "s" / "Record Node 101" / "experiment1" / "recording1", stream())
    for folder, code in ((raw, 1), (root, 0)):
        before = neuroluigi(lab, "recordings", "--json", "--recordings-root", folder, code=code).stdout
        table = neuroluigi(lab, "recordings", "--csv", "--recordings-root", folder, code=code).stdout
        write_table(folder, *table.splitlines())
        after = neuroluigi(lab, "recordings", "--json", "--recordings-root", folder, code=code).stdout
        assert list(json.loads(after)) == list(json.loads(before))
        for (key, one), other in zip(found_by(after).items(), found_by(before).values(), strict=True):
            for recording in (*one[2], *other[2]):
                recording["columns"] = {name: text for name, text in recording["columns"].items() if text}
            if key != "no_bin-0-imec0.ap" and folder == raw:
                assert one == other
        # And once more.
        assert neuroluigi(lab, "recordings", "--csv", "--recordings-root", folder, code=code).stdout == table
    assert table.splitlines()[0].startswith("session,index,path,")


def layouts(groups) -> dict[str, dict]:
    """Return what is known of each group's samples, but for the names of its files."""
    found = {}
    for key, group in groups.items():
        layout, parts = describe_concatenation(group, [one.path for one in group.recordings], "fail")
        rows = [{**row, "path": ""} for row in layout["recordings"]]
        found[key] = ({**layout, "recordings": rows}, parts)
    return found


AS_ECG = ("--recordings-dtype", "int16", "--recordings-sampling-rate-hz", "360")


@pytest.mark.parametrize(
    ("folder", "format"),
    [
        ("spikeglx/CI0_overlap1", "auto"),
        ("spikeglx/CI2_gap1s", "auto"),
        ("spikeglx/DigitalChannelTest_g0", "auto"),
        ("openephys", "auto"),
        ("intan", "auto"),
        ("blackrock", "auto"),
        ("brainvision", "auto"),
        ("wav", "wav"),
        *(pytest.param(name, format, marks=needs_formats) for name, format in (("nwb", "nwb"), ("abf", "neo"))),
        ("ecg", "raw"),
    ],
)
def test_the_table_of_every_format_gives_the_same_groups_and_layouts(tmp_path, folder, format):
    root = FORMATS / folder
    settings = ["--recordings-root", root, "--recordings-format", format]
    table = tmp_path / "recordings.csv"
    out = neuroluigi(tmp_path / "lab", "recordings", "--csv", *settings, *(AS_ECG if format == "raw" else ()))
    table.write_text(out.stdout)
    known = {"dtype": "int16", "sampling_rate_hz": 360.0} if format == "raw" else {"format": (format,)}
    before = find_groups(Declaration(root=str(root), **known), notify=lambda note: None)
    after = find_groups(Declaration(root=str(root), table=str(table)), notify=lambda note: None)
    assert not any(group.problems for group in (*before.values(), *after.values()))
    assert layouts(after) == layouts(before) and before
    is_by_header = {one.is_by_header for group in after.values() for one in group.recordings}
    assert is_by_header == {format != "raw"}


def test_command_shows_what_headers_say_in_80_columns(tmp_path):
    raw = tmp_path / "raw"
    for trigger in (0, 1):
        write_run(raw, f"5-19-2022-CI0_g0_t{trigger}.imec0.ap", samples=30000, start=None)
    out = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", raw).stdout
    header, first, second, *_ = out.splitlines()
    assert header.split()[:5] == ["group", "session", "format", "stream", "index"]
    values = ["5-19-2022-CI0-0-imec0.ap", "5-19-2022-CI0", "spikeglx", "imec0.ap", "0", "int16", "3"]
    assert first.split()[:14] == [*values, *["2", "ap,", "1", "digital", "30000.06109", "30000", "1"]]
    assert second.split()[:5] == ["5-19-2022-CI0", "spikeglx", "imec0.ap", "1", "int16"]
    assert "warning: " in out and "t1.imec0.ap.meta has no firstSample" in out
    terminal_module = pytest.importorskip("tests.terminal")
    command = [str(BIN / "neuroluigi"), "recordings", "--recordings-root", str(raw)]
    terminal = terminal_module.Terminal(command, tmp_path / "lab", columns=80, rows=40)
    assert terminal.end() == 0
    screen = terminal.shown()
    lines = screen.splitlines()
    (line,) = [line.split() for line in lines if line.startswith(values[0])]
    assert line[:4] == [values[0], "0", "30000", "1"] and line[4].endswith("0.imec0.ap.bin") and "…" in line[4]
    shared = "session 5-19-2022-CI0, format spikeglx, stream imec0.ap, dtype int16, channels 3"
    assert f"In all rows: {shared}, kinds 2 ap, 1 digital, rate [Hz] 30000.06109." in " ".join(screen.split())
    write_run(raw, "5-19-2022-CI0_g0_t0.imec0.ap", samples=30000, start=5)
    write_run(raw, "5-19-2022-CI0_g0_t1.imec0.ap", samples=30000, start=30010)
    out = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", raw).stdout
    assert out.splitlines()[-1] == "gaps in 5-19-2022-CI0-0-imec0.ap: 5 samples are missing before sample 30000"
