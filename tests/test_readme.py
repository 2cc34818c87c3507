"""What the README shows works as it stands there."""

import csv
import json
import re
import subprocess

import numpy as np

from tests.conftest import REPOSITORY, clean_environment, needs_octave

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
IMPORTS = "\nimport numpy as np\nfrom neuroluigi import CommandTask, RecordingTask, StudyTask\n\n"


def block(language: str, containing: str) -> str:
    """Return the one fenced block of the README in that language that contains a text."""
    found = [b for b in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in b]
    assert len(found) == 1, f"{len(found)} blocks of {language} contain {containing}"
    return found[0]


def add_step(pipeline, containing: str) -> None:
    code = block("python", containing)
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) < 10, f"{containing} takes {len(lines)} lines"
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(tasks.read_text() + IMPORTS + code)


@needs_octave
def test_a_matlab_function_with_a_parameter_of_luigi_cfg(pipeline):
    add_step(pipeline, "class Above")
    (pipeline.folder / "matlab" / "countAbove.m").write_text(block("matlab", "countAbove"))
    with (pipeline.folder / "luigi.cfg").open("a") as config:
        config.write("\n" + block("ini", "[Above]"))
    pipeline.run("Above", "--group", "a-even", "--matlab-engine", "octave")
    samples = np.fromfile(pipeline.results / "a-even" / "aggregate.bin", np.uint8)
    above = json.loads((pipeline.results / "a-even" / "above.json").read_text())
    assert above == {"above": int((samples >= 150).sum())}
    assert json.loads((pipeline.results / "a-even" / "runs" / "Above.json").read_text())["parameters"]["level"] == 150


def test_another_program_in_the_version_that_luigi_cfg_declares(pipeline, tmp_path):
    add_step(pipeline, "class Audio")
    # An ffmpeg that says what it was called with.
    for version in ("4.4", "6.1"):
        program = tmp_path / f"ffmpeg-{version}" / "bin" / "ffmpeg"
        program.parent.mkdir(parents=True)
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = -version ]; then echo "ffmpeg version {version}.1 Copyright"; exit; fi\n'
            'for last; do :; done; echo "$@" > "$last"\n'
        )
        program.chmod(0o755)
    declared = block("ini", "[Audio]").split("\n\n")[0].replace("/opt", str(tmp_path))
    config = pipeline.folder / "luigi.cfg"
    config.write_text(f"{config.read_text()}\n{declared}\n")
    pipeline.run("Audio", "--group", "a-even", "--matlab-engine", "numpy")
    words = (pipeline.results / "a-even" / "audio.flac").read_text().split()
    assert words[:5] == ["-f", "s16le", "-ar", "15000", "-i"] and words[5].endswith("results/a-even/aggregate.bin")
    tool = json.loads((pipeline.results / "a-even" / "runs" / "Audio.json").read_text())["tool"]
    assert (tool["engine"], tool["version"]) == ("ffmpeg", "4.4.1")
    (pipeline.results / "a-even" / "audio.flac").unlink()
    newer = ["--Audio-program", str(tmp_path / "ffmpeg-6.1" / "bin" / "ffmpeg")]
    out = pipeline.run("Audio", "--group", "a-even", "--matlab-engine", "numpy", *newer, code=30)
    assert "ffmpeg 6.1.1 was found where luigi.cfg declares 4.4" in out


@needs_octave
def test_the_transcript_of_runs_status_and_why(pipeline):
    """Run, run again, delete one file, status, run, why; what is told of time, host and checksums aside."""
    (text,) = [b for b in re.findall(r"```\n(\$ luigi.*?)```", README, re.DOTALL) if "$ rm" in b]
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        done = subprocess.run(
            command,
            shell=True,
            cwd=pipeline.folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said = done.stdout.rstrip("\n").split("\n")
        for line in shown.rstrip("\n").split("\n"):
            if line in ("...", ""):
                continue
            expected = re.sub(r"Made 20.* ada\.|sha256 .*|octave \S+|(?<=Slowest: ).*", "", line).rstrip()
            matching = (re.sub(r"Made 20.*\.|sha256 .*|octave \S+|(?<=Slowest: ).*", "", one).rstrip() for one in said)
            assert expected in matching, f"{command}: {line!r} is not among\n{done.stdout}"
        assert done.returncode in (0, 1)


def test_a_python_function(pipeline):
    add_step(pipeline, "class Rate")
    pipeline.run("Rate", "--group", "a-even", "--matlab-engine", "numpy")
    edges = np.load(pipeline.results / "a-even" / "edges.npy")
    assert (pipeline.results / "a-even" / "rate.txt").read_text() == f"{len(edges) / 200:g} edges per sample\n"


def test_a_step_per_recording_before_the_aggregate(pipeline):
    add_step(pipeline, "class Clipped")
    tasks = pipeline.folder / "tasks.py"
    old = "        return [recording_task(recording) for recording in self.recordings]\n"
    new = block("python", "[Clipped(").split("\n", 1)[1]
    text = tasks.read_text()
    assert text.count(old) == 1
    tasks.write_text(text.replace(old, new))
    pipeline.run("PlotAll", "--matlab-engine", "numpy")
    clipped = []
    for index in (0, 2):
        samples = np.fromfile(pipeline.folder / f"recordings/a/rec_{index}.bin", np.uint8)
        clipped.append(np.minimum(samples, int(np.percentile(samples, 99))))
        made = pipeline.results / "recordings" / "a" / str(index) / "clipped.bin"
        assert np.array_equal(np.fromfile(made, np.uint8), clipped[-1])
    assert (pipeline.results / "a-even" / "aggregate.bin").read_bytes() == np.concatenate(clipped).tobytes()


def test_a_step_over_all_groups(pipeline):
    add_step(pipeline, "class Means")
    pipeline.run("Means", "--matlab-engine", "numpy")
    with (pipeline.results / "study" / "means.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    samples = np.fromfile(pipeline.results / "e-odd" / "aggregate.bin", np.uint8)
    assert float(rows[-1]["mean"]) == samples.mean() and rows[-1]["group"] == "e-odd"


def test_every_setting_of_this_package_is_in_luigi_cfg_with_a_comment():
    from neuroluigi.scheduling import scheduling
    from neuroluigi.task import recordings, results

    from neuroluigi.steps.matlab import matlab

    config = (REPOSITORY / "luigi.cfg").read_text(encoding="utf-8")
    for section in (recordings, results, matlab, scheduling):
        text = config.split(f"[{section.__name__}]\n", 1)[1].split("\n[", 1)[0]
        for name, _ in section.get_params():
            assert re.search(rf"^{name} =", text, re.MULTILINE), f"[{section.__name__}] {name}"
    for paragraph in config.split("\n["):
        assert "#" in paragraph, f"no comment in [{paragraph.splitlines()[0]}"


def test_the_plain_commands_are_the_makefile_s():
    makefile = (REPOSITORY / "Makefile").read_text()
    for command in ("luigi --module tasks PlotAll --local-scheduler;", "neuroluigi report;"):
        assert command in makefile
    assert README.count("neuroluigi report\n") >= 3
    assert README.count("luigi --module tasks PlotAll --local-scheduler\n") >= 3
