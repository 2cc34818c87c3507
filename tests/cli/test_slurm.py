"""`neuroluigi slurm --print`: groups in elements, flags and settings, without a cluster."""

import re
import shlex

import pytest

from tests.cluster.slurm_lab import FAKES, NO_SLURM, neuroluigi


def scripts(lab, *words):
    return neuroluigi(lab, "slurm", *words, "--print", *FAKES, env=NO_SLURM)


def test_groups_are_spread_over_elements_with_the_flags_of_the_command(pipeline):
    flags = ["--time", "01:00:00", "--mem", "4G", "--partition", "short", "--account", "lab", "--sbatch", "qos=long"]
    out = scripts(pipeline, "--groups-per-job", "3", "--cpus", "2", "--max-jobs", "5", *flags)
    # s and t, even and odd: four groups, two elements.
    assert re.findall(r"^#SBATCH --array=(.*)$", out, re.M) == ["0-1%5"]
    for flag in ("time=01:00:00", "mem=4G", "partition=short", "account=lab", "qos=long", "cpus-per-task=2"):
        assert out.count(f"#SBATCH --{flag}\n") == 2, flag
    assert not (pipeline.results / ".slurm").exists()


def test_task_and_settings_are_passed_on(pipeline):
    out = scripts(pipeline, "Edges", "--group", "s-odd", "--Edges-threshold", "0.5")
    (words,) = (shlex.split(line) for line in out.splitlines() if "slurm_job element" in line)
    assert words[words.index("--of") + 1] == "Edges" and words[words.index("--Edges-threshold") + 1] == "0.5"
    assert words[words.index("--Edges-group") + 1] == "s-odd"
    assert re.findall(r"^#SBATCH --array=(.*)$", out, re.M) == ["0-0"]


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--groups-per-job", "0"], 2, "Error: Invalid value for '--groups-per-job': 0 is not in the range x>=1.\n"),
        (["--sbatch", "array=1"], 1, "neuroluigi: --sbatch array: neuroluigi sets it itself, and goes by it\n"),
    ],
)
def test_what_can_not_be_submitted_is_refused(pipeline, words, code, line):
    assert neuroluigi(pipeline, "slurm", *words, "--print", *FAKES, env=NO_SLURM, code=code).endswith(line)
