"""What README.md and the pages of docs/ show works as it stands there, in a pipeline folder of a new user."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import luigi
import nbformat
import numpy as np
import pytest
from luigi.task_register import Register
from nbclient import NotebookClient

import neuroluigi
from tests.conftest import BIN, REPOSITORY, Pipeline, clean_environment, needs_octave
from tests.recordings.test_found import write_run

README, DOCS = REPOSITORY / "README.md", REPOSITORY / "docs"


STEPS, INSTALL, DEVELOPMENT, NOTEBOOK = (DOCS / f"{name}.md" for name in ("steps", "install", "development", "python"))


PAGES = [README, *sorted(DOCS.glob("*.md"))]


LANGUAGES = {"bat", "console", "ini", "matlab", "pycon", "python", "sh", "text"}


# What differs from run to run.
VARYING = re.compile(r"Made 20.*|sha256 .*|(?<=Slowest: ).*|octave \S+")


# An environment of its own, in which the page starts a command.
OWN_ENVIRONMENT = re.compile(r"^(\.venv/bin/|\.venv\\Scripts\\|conda run --name neuroluigi )")


# Commands that set up a machine; and those of a block that needs several terminals, see tests of runner/luigid.py.
NOT_HERE = ("pip ", "python3 -m venv", "py -m venv", "conda create", ".venv/bin/python benchmarks/")


SEVERAL_TERMINALS = re.compile(r"^(luigid|ssh) ", re.MULTILINE)


# Exit code 1 says that something is not done, or not as it should be.
MAY_END_WITH_1 = ("neuroluigi status", "neuroluigi why")


def name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in languages]


def block(page: Path, language: str, containing: str) -> str:
    """Return the one block of a page in that language that contains a text."""
    found = [text for text in blocks(page, language) if containing in text]
    assert len(found) == 1, f"{len(found)} blocks of {language} in {name(page)} contain {containing}"
    return found[0]


def pages_with(*languages: str):
    return pytest.mark.parametrize("page", [one for one in PAGES if blocks(one, *languages)], ids=name)


def plain(page: Path) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, shell=True, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a pipeline after a run."""
    pipeline = Pipeline(tmp_path_factory.mktemp("finished") / "lab")
    pipeline.run("PlotAll")
    return pipeline.folder


@pytest.fixture
def lab(tmp_path, finished) -> Path:
    """A copy of the folder of a finished pipeline."""
    return shutil.copytree(finished, tmp_path / "lab")


def test_the_readme_has_at_most_150_lines():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_block_has_a_language(page):
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert not any(fences[1::2]) and set(fences[::2]) <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for address in re.findall(r"\]\(([^)\s]+)\)", plain(page)):
        if not address.startswith("https://"):
            file, _, anchor = address.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.exists(), f"{name(page)}: {address}"
            assert not anchor or anchor in anchors(target), f"{name(page)}: {address}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", plain(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_the_repository_that_a_page_names_are_there(page):
    for path in re.findall(r"`((?:benchmarks|docs|tests)/[\w./]+)`", plain(page)):
        assert (REPOSITORY / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_readme_leads_to_every_page(page):
    assert page == README or f"]({name(page)})" in README.read_text(encoding="utf-8")


def test_the_transcript_of_the_readme_begins_that_of_the_results():
    assert block(DOCS / "results.md", "console", "$ rm").startswith(block(README, "console", "$ neuroluigi run"))


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if blocks(page, "console")], ids=name)
def test_transcripts(page, pipeline, finished):
    """All that a page shows of its commands is printed, in that order; times, hosts and checksums aside."""
    steps = [step.partition("\n") for text in blocks(page, "console") for step in re.split(r"^\$ ", text, flags=re.M)]
    steps = [(command, shown) for command, _, shown in steps if command]
    folder = pipeline.folder if steps[0][0] == "neuroluigi run" else finished
    for command, shown in steps:
        done = shell(command, folder)
        printed = iter([VARYING.sub("", line).rstrip() for line in done.stdout.splitlines()])
        for line in filter(None, shown.splitlines()):
            if line != "...":
                assert VARYING.sub("", line).rstrip() in printed, f"{command}: {line}\n{done.stdout}{done.stderr}"
        assert done.returncode in (0, 1), done.stderr


@pages_with("sh", "bat")
def test_commands(page, lab, tmp_path):
    """All commands of a page work, one after the other, in the folder of a finished pipeline; each is tried once."""
    (lab / "docs").mkdir()
    for session in ("a", "b"):
        for index in range(2):
            recording = tmp_path / "data" / "2026" / session / f"rec_{index}.bin"
            recording.parent.mkdir(parents=True, exist_ok=True)
            recording.write_bytes(neuroluigi.fake_samples(session, index, 100))
    shutil.copytree(lab / "results", tmp_path / "data" / "results")
    with (lab / "luigi.cfg").open("a") as settings:
        settings.write("\n".join(text for text in blocks(page, "ini") if text.startswith("[variants]")))
    makefile = (REPOSITORY / "Makefile").read_text()
    earlier = {command for one in PAGES[: PAGES.index(page)] for command in commands(one)}
    for command in dict.fromkeys(one for one in commands(page) if one not in earlier):
        if target := re.match(r"make (\S+)", command):
            assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), command
            continue
        if command.startswith("neuroluigi accept"):
            edit_edges(lab)
        done = shell(command.replace("/data/", f"{tmp_path}/data/"), lab)
        codes = (0, 1) if command.startswith(MAY_END_WITH_1) else (0,)
        assert done.returncode in codes, f"{command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of a page as a test can run them: nobody is asked, and Slurm's scripts are only printed."""
    for text in blocks(page, "sh", "bat"):
        if SEVERAL_TERMINALS.search(text):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            command = OWN_ENVIRONMENT.sub("", re.sub(r"(\s{2,}|^)# .*", "", line))
            if re.match(r"neuroluigi (clean|drop) ", command) and "--dry-run" not in command:
                command += " --yes"
            if command.startswith("neuroluigi slurm"):
                command += " --print"
            if command and not command.startswith(NOT_HERE):
                yield command


def edit_edges(lab: Path) -> None:
    """Change a result by hand."""
    edges = np.load(lab / "results" / "a-even" / "edges.npy")
    edges[0, 0] += 1
    np.save(lab / "results" / "a-even" / "edges.npy", edges)


@pages_with("pycon")
def test_python_sessions(page, lab, tmp_path):
    (tmp_path / "session.txt").write_text("\n".join(blocks(page, "pycon")), encoding="utf-8")
    done = shell(f'"{BIN / "python"}" -m doctest "{tmp_path / "session.txt"}"', lab)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_notebook(lab, tmp_path):
    """The cells of the page give what stands below each, in a kernel of Jupyter that is in another folder."""
    pattern = r"^```python\n(.*?)^```$(?:\s*^```text\n(.*?)^```$)?"
    cells = re.findall(pattern, NOTEBOOK.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lab.parent.joinpath("elsewhere").mkdir()
    made = [nbformat.v4.new_code_cell(code.replace("/data/lab", str(lab))) for code, _ in cells]
    notebook = nbformat.v4.new_notebook(cells=made)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path / "elsewhere")}}).execute()
    for cell, (_, shown) in zip(notebook.cells, cells, strict=True):
        outputs = [one for one in cell.outputs if one.output_type != "display_data"]
        printed = "".join(one.get("text") or one.data["text/plain"] for one in outputs)
        if shown:
            assert printed.split() == shown.split(), cell.source
        assert "plot(" not in cell.source or "image/png" in outputs[0].data
    assert not any((tmp_path / "elsewhere").iterdir())


@pages_with("python")
def test_python_blocks_are_one_tasks_py(page, pipeline):
    """The code of a page can be added to tasks.py as a whole."""
    for text in blocks(page, "python") if page not in (DOCS / "reference.md", NOTEBOOK) else ():
        # A method is shown alone; a file that begins with its docstring is whole.
        compile(text if not text.startswith(" ") else f"class _:\n{text}", name(page), "exec")
        if not text.startswith((" ", '"""')):
            add(pipeline, text)
    done = shell(f'"{BIN / "python"}" -c "import tasks"', pipeline.folder)
    assert done.returncode == 0, done.stderr


def add(pipeline: Pipeline, code: str) -> None:
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(f"{tasks.read_text()}\n\n{code}")


def add_step(pipeline: Pipeline, page: Path, containing: str) -> None:
    """Add a step, which has to be short, and what the examples import."""
    code = block(page, "python", containing)
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("import ", "from "))]
    assert len(lines) < 10, f"{containing} takes {len(lines)} lines"
    add(pipeline, block(STEPS, "python", "import numpy as np") + code)


# The program that is declared for a step that the page leaves to the reader.
LIKE = {"Video": "Audio"}


UNKNOWN_SETTINGS = """
import configparser, json, sys
from luigi.task_register import Register
import tasks
known = {}
for section, _, name, _ in Register.get_all_params():
    known.setdefault(section, set()).add(name)
like = json.loads(sys.argv[2])
for text in json.loads(sys.argv[1]):
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(text)
    # What it may say is seen where the commands of the page run with it.
    for section in [one for one in config.sections() if one != "variants"]:
        for name in config.options(section):
            # A section of some groups has settings of its step.
            step = section.partition(":")[0]
            if name not in known.get(like.get(step, step), ()):
                print(section, name)
"""


@pages_with("ini")
def test_settings_of_ini_blocks_are_known(page, pipeline):
    for text in {one: None for where in (README, page) for one in blocks(where, "python")}:
        if not text.startswith((" ", '"""')):
            add(pipeline, text)
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN_SETTINGS, json.dumps(blocks(page, "ini")), json.dumps(LIKE)],
        cwd=pipeline.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def recordings_by(text: str, pipeline: Pipeline) -> dict:
    """Return what `neuroluigi recordings --json` has with this luigi.cfg."""
    (pipeline.folder / "luigi.cfg").write_text(text)
    return json.loads(shell("neuroluigi --task PlotAll recordings --json", pipeline.folder).stdout)


def test_the_folder_that_a_rig_wrote_is_all_that_is_typed(pipeline, tmp_path):
    for stream in ("imec0.ap", "imec0.lf", "imec1.ap"):
        write_run(tmp_path / "raw" / stream, f"mouse1_g0_t0.{stream}", samples=7)
    (select,) = re.findall(r"`(select = \S+)`", README.read_text(encoding="utf-8"))
    text = f"[recordings]\nroot = {tmp_path / 'raw'}\n{select}\n"
    ((key, group),) = recordings_by(text, pipeline).items()
    assert key == "mouse1-0-imec0.ap"
    assert [(one["samples"], one["channels"]) for one in group["recordings"]] == [(7, 3)]


def test_metadata_add_columns_to_what_is_found(pipeline, tmp_path):
    page = DOCS / "recordings.md"
    for session in ("2026-01-31", "2026-02-01"):
        write_run(tmp_path / "raw", f"{session}_g0_t0.imec0.ap")
    (pipeline.folder / "sessions.csv").write_text(block(page, "text", "session,subject"))
    text = f"{block(page, 'ini', 'metadata =')}\nroot = {tmp_path / 'raw'}\n"
    ((key, group),) = recordings_by(text, pipeline).items()
    assert key == "2026-01-31-0-imec0.ap" and group["recordings"][0]["columns"]["bad_channels"] == "3|5"


def test_a_pattern_finds_the_recordings_of_probes(pipeline, tmp_path):
    """The luigi.cfg of the page, in a folder with files of these names."""
    text = block(DOCS / "recordings.md", "ini", "pattern =").replace("/data/neuropixels", str(tmp_path))
    for stream in ("ap", "lf"):
        (tmp_path / f"mouse1_g0_t0.imec1.{stream}.bin").write_bytes(bytes(2 * 385))
    (group,) = recordings_by(text, pipeline).items()
    assert group[0] == "mouse1-0-1" and [one["samples"] for one in group[1]["recordings"]] == [1]


@needs_octave
def test_a_matlab_function_with_a_parameter_of_luigi_cfg(pipeline):
    add_step(pipeline, README, "class Above")
    (pipeline.folder / "matlab" / "countAbove.m").write_text(block(README, "matlab", "countAbove"))
    with (pipeline.folder / "luigi.cfg").open("a") as config:
        config.write("\n" + block(STEPS, "ini", "[Above]"))
    pipeline.run("Above", "--group", "a-even", "--matlab-engine", "octave")
    samples = np.fromfile(pipeline.results / "a-even" / "aggregate.bin", np.uint8)
    above = json.loads((pipeline.results / "a-even" / "above.json").read_text())
    assert above == {"above": int((samples >= 150).sum())}
    assert json.loads((pipeline.results / "a-even" / "runs" / "Above.json").read_text())["parameters"]["level"] == 150


def test_a_function_that_the_lab_has_already_and_the_values_that_it_returns(pipeline):
    step = block(STEPS, "python", "class SpikeCount")
    assert len([line for line in step.splitlines() if line]) == 6
    add(pipeline, block(STEPS, "python", "import numpy as np") + step)
    (pipeline.folder / "matlab" / "countSpikes.m").write_text(block(STEPS, "matlab", "countSpikes"))
    pipeline.run("SpikeCount", "--group", "a-even", "--matlab-engine", "octave")
    folder = pipeline.results / "a-even"
    samples = np.fromfile(folder / "aggregate.bin", np.uint8)
    count = np.count_nonzero(np.diff((samples >= 200).astype(int)) == 1)
    assert count and json.loads((folder / "count.json").read_text()) == count
    assert json.loads((folder / "rate.json").read_text()) == count / len(samples) * 15000


def test_a_numpy_function_in_place_of_a_matlab_function(pipeline):
    add(pipeline, block(STEPS, "python", "import numpy as np") + block(STEPS, "python", "class AboveAnywhere"))
    pipeline.run("AboveAnywhere", "--group", "a-even", "--matlab-engine", "numpy")
    samples = np.fromfile(pipeline.results / "a-even" / "aggregate.bin", np.uint8)
    above = json.loads((pipeline.results / "a-even" / "above-anywhere.json").read_text())
    assert above == {"above": int((samples >= 200).sum())}


def test_another_program_in_the_version_that_luigi_cfg_declares(pipeline, tmp_path):
    add_step(pipeline, STEPS, "class Audio")
    # An ffmpeg that says what it was called with.
    for version in ("4.4", "6.1"):
        program = tmp_path / f"ffmpeg-{version}" / "bin" / "ffmpeg"
        program.parent.mkdir(parents=True)
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = -version ]; then echo "ffmpeg version {version}.1 Copyright"; exit; fi\n'
            'for last; do :; done; echo "$@" > "$last"\n'
        )
        program.chmod(0o755)
    declared = block(STEPS, "ini", "[Audio]").split("\n\n")[0].replace("/opt", str(tmp_path))
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


def test_a_python_function(pipeline):
    add_step(pipeline, README, "class Rate")
    pipeline.run("Rate", "--group", "a-even", "--matlab-engine", "numpy")
    edges = np.load(pipeline.results / "a-even" / "edges.npy")
    assert (pipeline.results / "a-even" / "rate.txt").read_text() == f"{len(edges) / 200:g} edges per sample\n"


def test_a_step_per_recording_before_the_aggregate(pipeline):
    add_step(pipeline, STEPS, "class Clipped")
    tasks = pipeline.folder / "tasks.py"
    old = "        return [recording_task(recording) for recording in self.recordings]\n"
    new = block(STEPS, "python", "[Clipped(").split("\n", 1)[1]
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


def test_a_folder_as_a_result(pipeline):
    add_step(pipeline, STEPS, "class Chunks")
    pipeline.run("Chunks", "--group", "a-even", "--matlab-engine", "numpy")
    group = pipeline.results / "a-even"
    chunks = [np.load(group / "chunks" / f"{n}.npy") for n in range(4)]
    assert np.array_equal(np.concatenate(chunks), np.fromfile(group / "aggregate.bin", np.uint8))
    if program := shutil.which("sha256sum"):
        subprocess.run([program, "--check", "--strict", "--quiet", "runs/Chunks.sha256"], cwd=group, check=True)


def test_tasks_of_luigis_own_below_and_above_a_step(pipeline):
    add(pipeline, block(STEPS, "python", "import numpy as np") + block(STEPS, "python", "class Rates"))
    few = ("--FakeRecording-sessions", "s", "--matlab-engine", "numpy")
    # What an ExternalTask has is not there yet, and no run makes it.
    out = pipeline.run("Longest", *few, code=20)
    assert "Not there: Rates(). No run makes what an ExternalTask has." in out
    (pipeline.folder / "rates.csv").write_text("s-even,100\ns-odd,50\n")
    out = pipeline.run("Longest", *few)
    assert "2 Duration" in out and "1 Longest" in out
    assert (pipeline.folder / "longest.txt").read_text() == "4.0\n"
    assert "Nothing to make: everything is there." in pipeline.run("Longest", *few)
    # What is stale below a task of Luigi's own that is complete is made, as status says.
    (pipeline.folder / "rates.csv").write_text("s-even,200\ns-odd,50\n")
    out = pipeline.run("Longest", *few)
    assert "Made: 1 Duration" in out or "Made: 2 Duration" in out
    assert "Older than what they require: Longest()." in out and "Changed during the run" not in out
    (pipeline.folder / "longest.txt").unlink()
    assert "Made: 1 Longest." in pipeline.run("Longest", *few)


def test_a_step_over_all_groups(pipeline):
    add_step(pipeline, STEPS, "class Means")
    pipeline.run("Means", "--matlab-engine", "numpy")
    with (pipeline.results / "study" / "means.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    samples = np.fromfile(pipeline.results / "e-odd" / "aggregate.bin", np.uint8)
    assert float(rows[-1]["mean"]) == samples.mean() and rows[-1]["group"] == "e-odd"


def test_a_pipeline_from_nothing(tmp_path):
    (tmp_path / "tasks.py").write_text(block(STEPS, "python", "class AllSizes"))
    done = shell("neuroluigi run AllSizes", tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "results" / "c-odd" / "sizes.json").read_text()) == [9, 7]


@pytest.mark.parametrize("page", [README, DOCS / "results.md"], ids=name)
def test_the_tree_of_results(page, finished):
    paths = re.findall(r"^(results/\S+)", block(page, "text", "aggregate.bin"), re.MULTILINE)
    assert len(paths) == 9 and all((finished / path).is_file() for path in paths)


def test_every_setting_of_this_package_is_in_luigi_cfg_with_a_comment():
    config = (REPOSITORY / "luigi.cfg").read_text(encoding="utf-8")
    ours = {}
    for section, _, setting, _ in Register.get_all_params():
        owner = Register.get_task_cls(section)
        if issubclass(owner, luigi.Config) and owner.__module__.startswith("neuroluigi."):
            ours.setdefault(section, []).append(setting)
    assert {"matlab", "neuroluigi", "recordings", "results"} <= ours.keys()
    for section, settings in ours.items():
        text = config.split(f"[{section}]\n", 1)[1].split("\n[", 1)[0]
        for setting in settings:
            assert re.search(rf"^{setting} =", text, re.MULTILINE), f"[{section}] {setting}"
    for paragraph in config.split("\n["):
        assert "#" in paragraph, f"no comment in [{paragraph.splitlines()[0]}"


def test_the_plain_commands_are_the_makefile_s():
    recipe = (REPOSITORY / "Makefile").read_text().split("\nrun:", 1)[1].split("\n\n", 1)[0]
    text = INSTALL.read_text(encoding="utf-8")
    for command in ("neuroluigi run", "neuroluigi report"):
        assert f"$(BIN)/{command};" in recipe
        assert len(re.findall(rf"(bin/|Scripts\\|--name neuroluigi ){command}\n", text)) == 3
