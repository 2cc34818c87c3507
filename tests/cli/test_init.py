"""`neuroluigi init`: from a folder of recordings to a pipeline that runs on them."""

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from luigi.configuration import LuigiConfigParser

from neuroluigi import ephys
from neuroluigi.recordings.formats.reader import KINDS
from neuroluigi.steps.parameters import default_of
from tests import commands
from tests.conftest import BIN, FORMATS, REPOSITORY, clean_environment, needs_formats
from tests.recordings.runs import snapshot
from tests.recordings.test_find import META, write_spikeglx

WRITTEN = {".gitignore", "luigi.cfg", "matlab", "tasks.py"}


def neuroluigi(here: Path, *words, code: int = 0, env=None, **options) -> subprocess.CompletedProcess:
    here.mkdir(exist_ok=True)
    done = commands.run(
        [BIN / "neuroluigi", *map(str, words)],
        cwd=here,
        env={**clean_environment(), **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        **options,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def refused(here: Path, *words, **options) -> str:
    """Return the one line of a command that ends with an error."""
    done = neuroluigi(here, *words, code=1, **options)
    (line,) = done.stderr.splitlines()
    assert line.startswith("neuroluigi: ") and done.stdout == ""
    return line


def without_engines(folder: Path) -> dict[str, str]:
    """Return the environment of a machine with neither Matlab nor Octave."""
    folder.mkdir(exist_ok=True)
    for name in ("neuroluigi", "python"):
        (folder / name).symlink_to(BIN / name)
    return {"PATH": str(folder)}


def setting(lab: Path, section: str, name: str) -> str | None:
    config = LuigiConfigParser()
    config.read(lab / "luigi.cfg", encoding="utf-8")
    return config.get(section, name, None)


def last_line(done: subprocess.CompletedProcess) -> str:
    return done.stdout.splitlines()[-1].strip()


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder of SpikeGLX: two streams of one session."""
    write_spikeglx(tmp_path / "raw" / "m_g0", "m_g0_t0.imec0.ap", "m_g0_t0.imec0.lf")
    return tmp_path / "raw"


def commands_of_the_readme() -> list[str]:
    """Return the three commands that the README shows first."""
    first = re.search(r"^```sh\n(.*?)^```$", (REPOSITORY / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(r"\s+#.*", "", line) for line in first[1].splitlines()]


def read_only_copy(source: Path, folder: Path) -> dict[str, object]:
    """Copy files so that they can't be changed; return what they are."""
    shutil.copytree(source, folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o555)
    return snapshot(folder)


@needs_formats
@pytest.mark.parametrize("has_engines", [False, True])
def test_the_three_commands_of_the_readme(tmp_path, has_engines):
    """On real files of SpikeGLX that can't be changed, from an empty folder; pip aside, which test_install.py tries."""
    install, init, run = commands_of_the_readme()
    assert install.startswith("pip install ")
    raw, here = tmp_path / "raw", tmp_path / "empty"
    here.mkdir()
    before = read_only_copy(FORMATS / "spikeglx" / "CI0_overlap1", raw)
    env = clean_environment() if has_engines else {**os.environ, **without_engines(tmp_path / "bin")}
    for command, end in (
        (init.replace("/data/2026", str(raw)), run),
        (run, "42 results, 24 of them pictures: results/*/*.png"),
    ):
        done = subprocess.run(command, shell=True, cwd=here, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert last_line(done) == end
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == {*WRITTEN, "results"}
    assert len(list((here / "results").glob("*/*.png"))) == 24
    assert snapshot(raw) == before


@needs_formats
def test_what_was_found_is_told_by_format_and_stream(tmp_path):
    done = neuroluigi(tmp_path, "init", "--data", FORMATS)
    lines = [line.split() for line in done.stdout.splitlines()]
    # 2 + 2 files of 22 s together in truth.json, 7900 samples at 1 kHz, 406776 at 2.5 kHz.
    assert ["spikeglx", "nidq", "1", "1", "1", "2500", "2.71", "min"] in lines
    assert ["brainvision", "1", "1", "32", "1000", "7.9", "s"] in lines
    assert ["openephys", "File_Reader-100.0", "1", "2", "16", "40000", "1", "s"] in lines
    assert "\nthe same problem in 15 groups (" in done.stdout and done.stdout.count("can't be read") == 1


def test_the_files_of_a_new_lab(tmp_path, data):
    before = snapshot(data)
    done = neuroluigi(tmp_path / "lab", "init", "--data", "../raw")
    lab = tmp_path / "lab"
    assert {path.name for path in lab.iterdir()} == WRITTEN and snapshot(data) == before
    assert last_line(done) == "neuroluigi run"
    assert (setting(lab, "recordings", "root"), setting(lab, "neuroluigi", "task")) == (str(data), "PlotAll")
    assert len((lab / "tasks.py").read_text().splitlines()) <= 180
    # An example, that of the README; the package's own M-files need no copy.
    assert [one.name for one in (lab / "matlab").iterdir()] == ["countAbove.m"]
    assert f"```matlab\n{(lab / 'matlab' / 'countAbove.m').read_text()}```\n" in (REPOSITORY / "README.md").read_text()


def test_its_steps_are_those_of_this_repository(tmp_path, data):
    """But for the prose, and the recordings, which are the package's own."""

    def steps(text: str) -> dict[str, str]:
        text = re.sub(r'\n    """.*?"""\n\n?', "\n", text)
        return dict(re.findall(r"^class (\w+)(.*?)(?=\n\n\n|\Z)", text, re.DOTALL | re.MULTILINE))

    neuroluigi(tmp_path / "lab", "init", "--data", data)
    ours, theirs = (steps((folder / "tasks.py").read_text().rstrip()) for folder in (REPOSITORY, tmp_path / "lab"))
    assert theirs == {name: ours.pop(name) for name in theirs}
    # So that each command of the documentation works in a new lab.
    assert {*ours} == {"Recording"}


def test_all_that_plot_all_names_is_there_and_other_steps_can_be_named(tmp_path, data):
    lab = tmp_path / "lab"
    neuroluigi(lab, "init", "--data", data)
    text = (lab / "tasks.py").read_text()
    named = {name for kind in KINDS for name in default_of("PlotAll", getattr(ephys.PlotAll, kind))}
    assert named <= {*re.findall(r"^class (\w+)", text, re.MULTILINE)}
    settings = (lab / "luigi.cfg").read_text()
    (lab / "luigi.cfg").write_text(settings.replace("# digital = Lines", "digital = Beats"))
    shown = neuroluigi(lab, "status", "--group", "m-0-imec0.ap", code=1).stdout
    assert "Beats" in shown.splitlines()[0].split()


def test_git_ignores_what_a_run_makes_and_raw_data_in_the_lab_itself(tmp_path):
    lab = tmp_path / "lab"
    names = ["#1 [x]*", "!important", "plain", "space ", "two\nlines"]
    for name in names:
        write_spikeglx(lab / name, "m_g0_t0.nidq")
    write_spikeglx(lab, "alone_g0_t0.nidq")
    neuroluigi(lab, "init")
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    made = ["results/a/plot.png", "results-0.6/x", "recordings/a/rec_0.bin", "luigid.pickle", "__pycache__/x.pyc"]
    raw = [f"{name}/m_g0_t0.nidq.bin" for name in names] + ["alone_g0_t0.nidq.bin"]
    kept = ["luigi.cfg", "tasks.py", "matlab/countAbove.m", ".gitignore", "other/x.bin"]
    subprocess.run(["git", "init", "--quiet"], cwd=lab, check=True)
    names = "\0".join([*made, *raw, *kept])
    command = ["git", "check-ignore", "-z", "--stdin"]
    done = subprocess.run(command, cwd=lab, input=names, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    assert done.stdout.split("\0")[:-1] == [*made, *raw]


def test_nothing_is_overwritten_and_a_second_time_nothing_is_written(tmp_path, data):
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "tasks.py").write_text("mine = 1\n")
    (lab / "matlab").mkdir()
    (lab / "matlab" / "countAbove.m").symlink_to("nowhere")
    out = neuroluigi(lab, "init", "--data", data).stdout
    assert f"Written, in {lab}: luigi.cfg, .gitignore.\n" in out
    assert "There already, and not changed: tasks.py, matlab/countAbove.m." in out
    assert (lab / "tasks.py").read_text() == "mine = 1\n" and (lab / "matlab" / "countAbove.m").is_symlink()
    before = snapshot(lab)
    done = neuroluigi(lab, "init", "--data", data)
    assert "Written" not in done.stdout and last_line(done) == "neuroluigi run"
    assert snapshot(lab) == before


def test_a_luigi_cfg_that_was_there_may_name_other_recordings_and_no_task(tmp_path, data):
    data, lab = data.rename(tmp_path / "ra w"), tmp_path / "lab"
    lab.mkdir()
    for text, command in {
        "[recordings]\nroot = elsewhere\n": f"neuroluigi run PlotAll --recordings-root '{data}'",
        "[neuroluigi]\ntask = All\n": f"neuroluigi run --recordings-root '{data}'",
        "[neuroluigi]\ntask = All\n[recordings]\nroot = ../ra w\n": "neuroluigi run",
    }.items():
        (lab / "luigi.cfg").write_text(text)
        assert last_line(neuroluigi(lab, "init", "--data", data)) == command
        assert (lab / "luigi.cfg").read_text() == text
    (lab / "luigi.cfg").write_text("root = x\n")
    line = refused(tmp_path, "init", "--data", data, lab)
    assert "luigi.cfg, line 1: 'root = x' comes before the first [section]" in line


STRANGE = ["Mäuse 中文", "100%", "%(root)s", "50%% off", "a #1", "a ;b", "#", "it's $HOME", 'a "b"', "~", "C:\\raw\\a"]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_of_folders(tmp_path, name):
    """The command that is printed can be typed as it is, and finds the recording."""
    (tmp_path / name / "a").mkdir(parents=True)
    (tmp_path / name / "a" / "rec_0.bin").write_bytes(bytes(8))
    done = neuroluigi(tmp_path, "init", "--data", f"./{name}", f"lab {name}")
    assert shlex.split(last_line(done)) == ["cd", str(tmp_path / f"lab {name}"), "&&", "neuroluigi", "run"]
    listed = json.loads(neuroluigi(tmp_path / f"lab {name}", "recordings", "--json").stdout)
    assert listed["a"]["recordings"][0]["path"] == str(tmp_path / name / "a" / "rec_0.bin")


@pytest.mark.parametrize("name", ["a\nb", "blank ", "${HOME}x", os.fsdecode(b"M\xe4use")], ids=ascii)
def test_a_name_that_luigi_cfg_can_not_hold_is_refused(tmp_path, data, name):
    data.rename(tmp_path / name)
    assert "make a link to it with a plain name" in refused(tmp_path, "init", "--data", tmp_path / name, "lab")
    assert not (tmp_path / "lab").exists()


def test_a_tilde_is_the_home_folder_and_a_relative_name_counts_from_here(tmp_path, data):
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = neuroluigi(tmp_path / "here", "init", "--data", "~/raw", "~/new/lab", env=home)
    assert setting(tmp_path / "new" / "lab", "recordings", "root") == str(data)
    assert last_line(done) == f"cd {tmp_path / 'new' / 'lab'} && neuroluigi run"


def test_a_lab_in_the_data_and_data_in_the_lab(tmp_path, data):
    neuroluigi(data, "init", "--data", ".", "analysis")
    assert setting(data / "analysis", "recordings", "root") == str(data)
    lab = tmp_path
    neuroluigi(tmp_path, "init", "--data", data)
    assert setting(lab, "recordings", "root") == "raw" and "/raw/\n" in (lab / ".gitignore").read_text()
    # The folder is looked in that gets the files, where no other one is named.
    neuroluigi(data, "init")
    assert setting(data, "recordings", "root") == "." and "/m_g0/\n" in (data / ".gitignore").read_text()


def test_a_machine_without_matlab_and_octave_has_numpy(tmp_path, data):
    without = without_engines(tmp_path / "bin")
    out = neuroluigi(tmp_path / "lab", "init", "--data", data, env=without).stdout
    assert setting(tmp_path / "lab", "matlab", "engine") == "numpy" and "NumPy functions take the place" in out
    (tmp_path / "bin" / "octave-cli").symlink_to(BIN / "python")
    neuroluigi(tmp_path / "other", "init", "--data", data, env=without)
    assert setting(tmp_path / "other", "matlab", "engine") is None


def test_raw_files_by_the_pattern_have_to_be_described(tmp_path):
    (tmp_path / "raw" / "a").mkdir(parents=True)
    for index in range(2):
        (tmp_path / "raw" / "a" / f"rec_{index}.bin").write_bytes(bytes(20))
    done = neuroluigi(tmp_path / "lab", "init", "--data", "../raw")
    assert ["raw", "1", "2"] in [line.split() for line in done.stdout.splitlines()]
    assert "write into luigi.cfg where they are, and what is in them" in done.stdout
    assert last_line(done) == "neuroluigi run"
    assert "# dtype = int16" in (tmp_path / "lab" / "luigi.cfg").read_text()


def test_a_format_that_is_taken_by_name_alone_is_named(tmp_path):
    (tmp_path / "raw" / "sub").mkdir(parents=True)
    np.save(tmp_path / "raw" / "sub" / "first.npy", np.arange(40, dtype=np.int16).reshape(20, 2))
    neuroluigi(tmp_path / "lab", "init", "--data", "../raw")
    assert setting(tmp_path / "lab", "recordings", "format") == "npy"
    listed = json.loads(neuroluigi(tmp_path / "lab", "recordings", "--json").stdout)
    assert [one["samples"] for group in listed.values() for one in group["recordings"]] == [20]
    # Beside what describes itself it is nobody's.
    write_spikeglx(tmp_path / "raw" / "m_g0", "m_g0_t0.imec0.ap")
    neuroluigi(tmp_path / "other", "init", "--data", "../raw")
    assert setting(tmp_path / "other", "recordings", "format") is None


def test_a_table_wins(tmp_path, data):
    (data / "recordings.csv").write_text("session,index,path,dtype\nm,0,m_g0/m_g0_t0.imec0.ap.bin,int16\n")
    out = neuroluigi(tmp_path / "lab", "init", "--data", data).stdout
    assert "imec0.lf" not in out and "Raw files have no header" not in out
    (data / "recordings.csv").write_text("session,index\n")
    out = neuroluigi(tmp_path / "other", "init", "--data", data, code=1).stdout
    assert "no column path" in out


def test_where_there_is_nothing_it_says_what_it_looked_for_and_what_to_fill_in(tmp_path):
    (tmp_path / "raw").mkdir()
    out = neuroluigi(tmp_path / "lab", "init", "--data", "../raw", code=1).stdout
    assert "spikeglx, openephys, intan" in out and "{session}/rec_{index}.bin" in out and "Go on" not in out
    assert "# pattern = {session}/rec_{index}.bin\n" in (tmp_path / "lab" / "luigi.cfg").read_text()
    assert setting(tmp_path / "lab", "recordings", "root") == str(tmp_path / "raw")
    neuroluigi(tmp_path, "init", "not there yet", code=1)
    assert setting(tmp_path / "not there yet", "recordings", "root") is None


def test_all_settings_of_luigi_cfg_are_known_those_in_comments_too(tmp_path):
    (tmp_path / "raw").mkdir()
    neuroluigi(tmp_path, "init", "--data", "raw", code=1)
    config = tmp_path / "luigi.cfg"
    text, count = re.subn(r"^# (?=\w+ =)", "", config.read_text(), flags=re.MULTILINE)
    assert count >= 10
    config.write_text(text.replace("\nlevel =\n", "\nlevel = 3\n"))
    # Which it can't be asked for before all settings were understood.
    assert "can't read the table of recordings recordings.csv" in neuroluigi(tmp_path, "recordings", code=1).stderr


def test_problems_and_warnings_are_told_in_short(tmp_path):
    raw = tmp_path / "raw"
    for gate in range(8):
        write_spikeglx(raw, f"m_g{gate}_t0.imec0.ap")
        (raw / f"m_g{gate}_t0.imec0.ap.meta").write_text(META.replace("nSavedChans=1", f"nSavedChans={gate + 2}"))
    write_spikeglx(raw, "m_g8_t0.imec0.ap")
    out = neuroluigi(tmp_path / "lab", "init", "--data", raw).stdout
    assert out.count("problem in m-") == 5 and "and 3 more; neuroluigi recordings lists them" in out
    assert "m_g8" not in out


def test_folders_that_are_none(tmp_path, data):
    (tmp_path / "file").touch()
    assert f"there is no folder {tmp_path / 'gone'}" in refused(tmp_path, "init", "--data", "gone", "lab")
    assert f"there is no folder {tmp_path / 'file'}" in refused(tmp_path, "init", "--data", "file", "lab")
    assert "there is no folder" in refused(tmp_path, "init", "--data", "x" * 300, "lab")
    assert not (tmp_path / "lab").exists()
    assert "name too long" in refused(tmp_path, "init", "--data", data, "x" * 300)
    assert f"can't write {tmp_path / 'file'}" in refused(tmp_path, "init", "--data", data, "file")
    assert f"can't write {tmp_path / 'file' / 'lab'}" in refused(tmp_path, "init", "--data", data, "file/lab")
    assert "no folder" in refused(tmp_path, "init", "file")


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written(tmp_path, data):
    (tmp_path / "lab").mkdir(0o555)
    assert "Permission denied" in refused(tmp_path, "init", "--data", data, "lab")


def test_a_full_disk_leaves_no_half_written_file_and_the_same_command_goes_on(tmp_path, data):
    resource = pytest.importorskip("resource")
    # As a disk with little room left: no file may be longer than that.
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (3500, 3500))
    line = refused(tmp_path, "init", "--data", data, "lab", preexec_fn=limit, forks=False)
    assert "can't write" in line and "tasks.py: File too large; mend that" in line
    lab = tmp_path / "lab"
    assert [one.name for one in lab.iterdir()] == ["luigi.cfg"] and setting(lab, "recordings", "root") == str(data)
    (lab / "tasks.py").write_text("from neuroluigi import ephys\n")
    neuroluigi(tmp_path, "init", "--data", data, "lab", preexec_fn=limit, forks=False)
    assert {path.name for path in lab.iterdir()} == WRITTEN


def test_files_of_other_formats_are_not_passed_over_in_silence(tmp_path):
    write_spikeglx(tmp_path / "raw", "m_g0_t0.imec0.ap")
    (tmp_path / "raw" / "x.ncs").touch()
    assert (
        "\nAlso there, and not read: 1 .ncs file.\n"
        in neuroluigi(tmp_path / "lab", "init", "--data", tmp_path / "raw").stdout
    )
