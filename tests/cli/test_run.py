"""`neuroluigi run`: which task it runs, with which settings, and its exit code."""

from tests import commands
from tests.conftest import BIN, clean_environment
from tests.results.conftest import FAKES


def neuroluigi(folder, *arguments, code=0):
    done = commands.run(
        [BIN / "neuroluigi", *arguments], cwd=folder, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_makes_the_whole_pipeline_and_a_second_time_nothing(pipeline):
    # An option right after `run` is Luigi's, and no task.
    out = neuroluigi(pipeline.folder, "run", "--workers", "2", *FAKES)
    assert "Made: 2 Aggregate, 2 Edges, 2 FakeRecording, 2 Plot, 2 Stats." in out
    assert len(list(pipeline.results.glob("*/plot.png"))) == 2
    assert "Nothing to make: everything is there." in neuroluigi(pipeline.folder, "run", *FAKES)


def test_a_task_may_be_named_by_argument_or_option_with_its_settings(pipeline):
    out = neuroluigi(pipeline.folder, "run", "Stats", "--group", "s-odd", *FAKES)
    assert "Made: 1 Aggregate, 1 FakeRecording, 1 Stats." in out
    assert [path.parent.name for path in pipeline.results.glob("*/stats.json")] == ["s-odd"]
    wanted = ["--task", "Edges", "run", "--group", "s-odd", "--Edges-threshold", "0.5"]
    assert "Made: 1 Edges." in neuroluigi(pipeline.folder, *wanted, *FAKES)
    for command in (["run"], ["status"], ["why", "Edges", "s-odd"]):
        out = neuroluigi(pipeline.folder, *command, "--task", "Edges", *FAKES, code=1)
        assert out.startswith("luigi: --task NAME goes before the command, as in neuroluigi --task NAME status")


def test_it_ends_with_the_exit_code_of_the_run(pipeline):
    recordings = pipeline.folder / "recordings" / "s"
    recordings.mkdir(parents=True)
    (recordings / "rec_0.bin").write_bytes(b"")
    out = neuroluigi(pipeline.folder, "run", "--recordings-root", "recordings", "--matlab-engine", "numpy", code=30)
    assert "Failed: Aggregate(group=s)." in out
    assert "there is no option --workrs; did you mean --workers?" in neuroluigi(
        pipeline.folder, "run", "--workrs", "2", code=1
    )


def test_in_another_folder_it_says_what_is_missing(tmp_path):
    assert f"there is no tasks.py in {tmp_path}" in neuroluigi(tmp_path, "run", code=1)
    assert f"there is no mine.py in {tmp_path}" in neuroluigi(tmp_path, "--module", "mine", "run", code=1)
