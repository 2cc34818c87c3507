"""`neuroluigi slurm`: the text of what is submitted, and what works without a cluster."""

import re
import shlex
from pathlib import Path

import pytest

from neuroluigi.cluster import slurm
from neuroluigi.steps.config import RunStopped
from tests.cluster.slurm_lab import FAKES, NO_SLURM, neuroluigi, pretend
from tests.conftest import folders

STRANGE = Path('/labs/it\'s 50% ü "x" $HOME')


def job(**changes):
    about = {
        "root": "PlotAll",
        "words": ["--module", "tasks", "--Edges-threshold", "0.6"],
        "lab": Path("/lab"),
        "folder": Path("/lab/results/.slurm/3"),
        "python": "/lab/.venv/bin/python",
        "flags": {"time": "08:00:00", "mem": "8G", "cpus-per-task": "4"},
    }
    return slurm.Job(**{**about, **changes})


def test_the_scripts():
    assert slurm.array_script(job(max_jobs=20), 15) == (
        "#!/bin/sh\n"
        "#SBATCH --array=0-14%20\n"
        "#SBATCH --cpus-per-task=4\n"
        "#SBATCH --job-name=neuroluigi-PlotAll\n"
        "#SBATCH --mem=8G\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --output=/lab/results/.slurm/3/%a.log\n"
        "#SBATCH --requeue\n"
        "#SBATCH --signal=B:USR2@60\n"
        "#SBATCH --time=08:00:00\n"
        "# Each element makes what depends on the groups in its line of groups.txt alone.\n"
        "cd /lab || exit 1\n"
        "exec /lab/.venv/bin/python -m neuroluigi.cluster.slurm_job element /lab/results/.slurm/3 --of PlotAll"
        ' --module tasks --Edges-threshold 0.6 --local-scheduler --workers "$SLURM_CPUS_PER_TASK"\n'
    )
    last = slurm.last_script(job(settle=30)).splitlines()
    assert "#SBATCH --output=/lab/results/.slurm/3/last.log" in last and not any("array" in line for line in last)
    assert last[-1] == (
        "exec /lab/.venv/bin/python -m neuroluigi.cluster.slurm_job last --settle 30 /lab/results/.slurm/3 PlotAll"
        ' --module tasks --Edges-threshold 0.6 --local-scheduler --workers "$SLURM_CPUS_PER_TASK"'
    )


def test_any_folder_and_any_value_is_quoted():
    script = slurm.array_script(job(lab=STRANGE, folder=STRANGE / "3", words=["--x", "a b; rm -rf $HOME"]), 1)
    lines = script.splitlines()
    assert "#SBATCH --output=" + shlex.quote(f"{STRANGE}/3/%a.log".replace("50%", "50%%")) in lines
    assert shlex.split(lines[-2]) == ["cd", str(STRANGE), "||", "exit", "1"]
    assert "a b; rm -rf $HOME" in shlex.split(lines[-1]) and str(STRANGE / "3") in shlex.split(lines[-1])


@pytest.mark.parametrize(
    "licences, seats", [("matlab:2", "2"), ("matlab", "1"), ("MATLAB@server:3,foo:9", "3"), ("foo:4", ""), ("", "")]
)
def test_an_element_opens_as_many_matlabs_as_it_has_licences(licences, seats):
    line = slurm.array_script(job(flags={"licenses": licences}), 1).splitlines()[-1]
    assert (["--seats", seats] if seats else []) == re.findall(r"--seats|(?<=--seats )\d+", line)


def test_chunks_are_of_much_the_same_size():
    sizes = {"a": 9, "b": 1, "c": 8, "d": 2, "e": 5, "f": 5}
    assert slurm.chunks(sizes, 2) == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert slurm.chunks(dict.fromkeys("abcdefg", 0), 3) == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert slurm.chunks({}, 4) == []
    # One that is far larger than the others is alone as far as their number allows it.
    assert slurm.chunks({"a": 100, "b": 1, "c": 1, "d": 1}, 3) == [["a"], ["b", "c", "d"]]


def test_other_options_of_sbatch():
    assert slurm.check_flags(["qos=long", "--exclusive"]) == {"qos": "long", "exclusive": ""}
    for wrong in ("array=1", "output=x", "-p x", "qos=a\nrm", "A=1"):
        with pytest.raises(RunStopped):
            slurm.check_flags([wrong])


# Names and values of all kinds, each at the beginning, in the middle and at the end of others.
HARMLESS = ["a", "ü猫", " ", "'", '"', "$(id)", "%j", "\\", "#SBATCH --x", "; rm -rf ."]
HARMFUL = [chr(n) for n in (*range(32), *range(127, 160))]
HARMFUL += ["\u2028", "\u2029", "\u202e", "\u2066", "\udc80", "\n#SBATCH --wrap=id"]


def placed(text):
    """Return a job for each place at which a text can come into a directive."""
    flags = job().flags
    options = ("time", "mem", "cpus-per-task", "partition", "account", "licenses", "qos", "comment", "mail-user")
    yield from (job(flags={**flags, name: text}) for name in options)
    yield job(folder=Path("/lab") / text / ".slurm" / "3")
    yield job(root=text)
    yield job(flags={**flags, f"x{text}": "y"})


@pytest.mark.parametrize("script", [lambda one: slurm.array_script(one, 2), slurm.last_script], ids=["array", "last"])
def test_a_directive_is_one_line_of_text_whatever_the_names_and_values_are(script):
    names = {line.split("=")[0] for line in script(job()).splitlines() if line.startswith("#SBATCH")}
    for text in HARMLESS:
        for one in placed(f"a{text}b"):
            lines = [line for line in script(one).splitlines() if line.startswith("#SBATCH")]
            assert len(lines) >= len(names) and all(line.isprintable() for line in lines)
    for text in HARMFUL:
        for around in (f"a{text}b", f"{text}b", f"a{text}"):
            for one in placed(around):
                with pytest.raises(RunStopped, match="Slurm can't be given '--") as stopped:
                    script(one)
                assert str(stopped.value).isprintable()


# Without a cluster


def test_without_slurm_it_says_so_and_status_works_as_ever(pipeline):
    out = neuroluigi(pipeline, "slurm", *FAKES, env=NO_SLURM, code=1)
    assert out == "neuroluigi: there is no sbatch on PATH; submit on a machine of a Slurm cluster\n"
    assert "exec " in neuroluigi(pipeline, "slurm", *FAKES, "--print", env=NO_SLURM)
    pretend(pipeline, [["s-even", "t-odd"]])
    out = neuroluigi(pipeline, "status", *FAKES, env=NO_SLURM, code=1)
    assert "Slurm job 7: there is no squeue on PATH" in out and "○ missing" in out
    out = neuroluigi(pipeline, "slurm", *FAKES, env=NO_SLURM, code=1)
    why = "the state of Slurm job 7 is unknown: there is no squeue on PATH"
    assert out == f"neuroluigi: nothing was submitted, as {why}\n"


def test_options_of_the_root_task_hold_on_the_nodes(pipeline):
    out = neuroluigi(pipeline, "slurm", "Stats", "--group", "s-odd", "--print", *FAKES)
    words = next(shlex.split(line) for line in out.splitlines() if "slurm_job element" in line)
    settings = words[words.index("--of") : words.index("--workers")]
    assert settings[4:6] == ["--Stats-group", "s-odd"]
    pipeline.run("neuroluigi.Subset", "--groups", '["s-odd"]', *settings)
    assert (pipeline.results / "s-odd" / "stats.json").is_file() and folders(pipeline.results) == ["s-odd"]


def test_a_submission_is_no_result(pipeline):
    pipeline.run("PlotAll", *FAKES)
    folder = pretend(pipeline, [["s-even"]], ended="x", exit_code=0)
    (folder / "last.json").write_text('{"ended": "x"}')
    (folder / "0.log").write_text("INFO")
    assert neuroluigi(pipeline, "slurm", *FAKES) == "Nothing to make: everything is there.\n"
    assert "Slurm" not in neuroluigi(pipeline, "status", *FAKES) and "all as recorded" in neuroluigi(pipeline, "verify")
    assert "Nothing to be removed." in neuroluigi(pipeline, "clean", "--orphans", "--yes", *FAKES)
    neuroluigi(pipeline, "clean", "--yes", *FAKES)
    assert folder.is_dir() and not (pipeline.results / "s-even").exists()
    assert "element 0" not in neuroluigi(pipeline, "status", *FAKES, code=1)
