"""What of a command line and luigi.cfg is understood, and what is refused in one line."""

import sys

import luigi
import pytest

from neuroluigi import StudyTask
from neuroluigi.runner.command_line import check_options, named_module, use_current_folder
from neuroluigi.steps.config import RunStopped, recordings, results, setting


def refusal(parsed, *words) -> str:
    with pytest.raises(RunStopped) as stopped, parsed(*words):
        pass
    (line,) = str(stopped.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["PlotAll", "--module", "a.b", "--workers", "2"], "a.b"),
        (["--module=mine", "PlotAll"], "mine"),
        (["PlotAll", "--module"], ""),
        (["PlotAll"], ""),
    ],
)
def test_the_module_that_a_command_line_names(words, module):
    assert named_module(words) == module


def test_a_module_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(RunStopped, match=r"there is no lab/no_such_tasks\.py in .*; go to the folder that has"):
        use_current_folder("lab.no_such_tasks")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["Stats"],
            "luigi: Stats: requires the 'group' parameter to be set: --group GROUP (neuroluigi recordings lists them)",
        ),
        (["PlotAll", "--workers", "0"], "--workers 0: there has to be at least one"),
        (["PlotAll", "--workers", "x"], "luigi: [core] workers (--workers): invalid literal for int()"),
        (
            ["PlotAll", "--Edges-level", "abc"],
            "luigi: [Edges] level (--Edges-level): 'abc' is neither a number of raw counts nor one with a unit",
        ),
        (["Edges", "--group", "a", "--level", "abc"], "luigi: [Edges] level (--level): 'abc' is neither a number"),
        (["Edges", "--group", "a", "--level", "-inf"], "luigi: --Edges-level -inf is not a number of raw counts"),
        (["PlotAll", "--recordings-rout", "/x"], "no option --recordings-rout; did you mean --recordings-root?"),
        (["PlotAll", "--recordings-channels", "two"], "[recordings] channels (--recordings-channels): "),
        (["PlotAll", "--recordings-incomplete=trim"], "the option --recordings-incomplete is called "),
    ],
)
def test_a_command_line_that_can_not_be_understood(parsed, words, line):
    assert line in refusal(parsed, *words)


def test_a_task_that_does_not_exist(parsed):
    line = refusal(parsed, "PlotALl")
    assert "PlotALl" in line and "PlotAll" in line


@pytest.mark.parametrize(
    "words",
    [
        ["PlotALl", "--workrs", "2"],
        ["--workrs", "2", "PlotALl"],
        ["PlotALl", "--workrs=2"],
        # It would be right for one of the tasks that it may mean.
        ["PlotALl", "--group", "a-even", "--workrs", "2"],
    ],
)
def test_a_task_and_an_option_that_do_not_exist_are_told_together(parsed, words):
    assert refusal(parsed, *words) == (
        "luigi: No task PlotALl. Did you mean: PlotAll Plot NWBAll;"
        " there is no option --workrs; did you mean --workers?"
    )


def test_the_value_of_an_option_that_does_not_exist_is_not_the_task(parsed):
    line = refusal(parsed, "--workrs", "2", "PlotAll", "--logs", "x")
    assert line.startswith("luigi: there is no option --workrs; did you mean --workers?; there is no option --logs")


def test_a_task_that_two_modules_define(parsed, pipeline):
    (pipeline.folder / "more.py").write_text("\nfrom neuroluigi import StudyTask\nclass Plot(StudyTask):\n    pass\n")
    pipeline.add("import more")
    number = (pipeline.folder / "tasks.py").read_text().splitlines().index("class Plot(ephys.Plot):") + 1
    try:
        assert refusal(parsed, "Plot", "--group", "a-even") == (
            f"luigi: the task Plot is defined 2 times, in tasks (tasks.py, line {number}), in more (more.py, line 3);"
            " rename one"
        )
    finally:
        sys.modules.pop("more", None)


class ShortLimit(StudyTask):
    limit_of_short = luigi.IntParameter(default=1)


class ShortOther(StudyTask):
    """A task without that parameter."""


def test_a_short_option_is_one_of_the_task_that_is_named_alone():
    check_options(["ShortLimit", "--limit-of-short", "1"])
    with pytest.raises(RunStopped, match="there is no option --limit-of-short"):
        check_options(["ShortOther", "--limit-of-short", "1"])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "threshold =",
            "treshold =",
            "[Edges] treshold: there is no such setting; did you mean threshold? There are: ",
        ),
        ("threshold =", "xyz =", "luigi.cfg, [Edges] xyz: there is no such setting; there are: "),
        (
            "workers = 1",
            "worker = 1",
            "luigi.cfg, [core] worker: there is no such setting; did you mean workers? There",
        ),
        ("[core]\n", "[corre]\n", "luigi.cfg: there is no step or section [corre]; did you mean [core]?"),
        ("[Edges]\n", "[Edge]\n", "luigi.cfg: there is no step or section [Edge]; did you mean [Edges]?"),
        ("root = results", "root = 100% sure", "luigi.cfg, [results] root: "),
        ("[recordings]\n", "[recordings]\nincomplete = trim\n", "luigi.cfg: the setting [recordings] incomplete is"),
    ],
)
def test_a_setting_that_can_not_be_understood(parsed, pipeline, old, new, line):
    config = pipeline.folder / "luigi.cfg"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new, 1))
    found = refusal(parsed, "PlotAll")
    assert line in found
    assert not new.startswith("root") or found.endswith("write %% for a per cent sign")


def rewrite(pipeline, old, new):
    config = pipeline.folder / "luigi.cfg"
    assert f"\n{old}\n" in config.read_text()
    config.write_text(config.read_text().replace(f"\n{old}\n", f"\n{new}\n", 1))


@pytest.mark.parametrize(
    ("old", "new", "setting", "sign"),
    [
        ("dtype = uint8", "dtype = int16  # counts", "recordings] dtype", "#"),
        ("channels = 1", "channels = 4 ; tetrode", "recordings] channels", ";"),
        ("unit =", "unit = # not known", "recordings] unit", "#"),
        ("engine = auto", "engine = octave\t# ours", "matlab] engine", "#"),
        ("threshold = 0.75", "threshold = 0.5 #", "Edges] threshold", "#"),
        ("root = results", "root = results # on the disk", "results] root", "#"),
        ("workers = 1", "workers = 2  # cores", "core] workers", "#"),
    ],
)
def test_a_comment_behind_a_value(parsed, pipeline, old, new, setting, sign):
    rewrite(pipeline, old, new)
    line = refusal(parsed, "PlotAll")
    assert f"luigi.cfg, [{setting}: {sign} and what follows are a part of the value; put a comment on a line" in line


@pytest.mark.parametrize("name", ["rat #7", "; first"])
def test_what_looks_like_a_comment_and_is_the_path_of_a_folder(parsed, pipeline, name):
    (pipeline.folder / f"100% {name}").mkdir()
    rewrite(pipeline, "root =", f"root = {pipeline.folder}/100%% {name}")
    with parsed("PlotAll"):
        assert setting(recordings).root == f"{pipeline.folder}/100% {name}"


@pytest.mark.parametrize("value", ["rat#7", "a;b", "x;", "#".join("ab")])
def test_a_sign_of_comments_inside_a_value_and_a_comment_on_its_own_line(parsed, pipeline, value):
    rewrite(pipeline, "root = results", f"root = {value}\n  # a comment\n; another")
    with parsed("PlotAll"):
        assert setting(results).root == value


def test_a_blank_option_takes_away_what_luigi_cfg_says(parsed, pipeline):
    rewrite(pipeline, "select =", "select = stream=ap")
    rewrite(pipeline, "level =", "level = 100")
    with parsed("PlotAll"):
        assert setting(recordings).select == ("stream=ap",)
    for words in (["--recordings-select", ""], ["--recordings-select="]):
        with parsed("PlotAll", *words):
            assert setting(recordings).select == ()
    for words in (["--Edges-level", ""], ["--level="]):
        with parsed("Edges", "--group", "a-odd", *words) as root:
            assert root.level is None
    # One that has a default, and may be blank.
    with parsed("Spikes", "--group", "a-odd", "--low", "", "--Spikes-peak-within=") as root:
        assert (root.low, root.high, root.peak_within) == (None, 6000, None)
    with parsed("PlotAll", "--recordings-dtype", "int16", "--results-root", ""):
        assert (setting(recordings).dtype, setting(recordings).select) == ("int16", ("stream=ap",))
        assert setting(results).root == "results"


@pytest.mark.parametrize("text", ["-1e2", "-1E+2", "-100", "-.5", "-1.", "-2.5e-3"])
def test_a_negative_number_is_the_value_of_its_option(parsed, text):
    for words in ([f"--Edges-level={text}"], ["--Edges-level", text], ["--level", text]):
        with parsed("Edges", "--group", "a-odd", *words) as root:
            assert root.level == float(text)
    with parsed("PlotAll", "--recordings-offset", text):
        assert setting(recordings).offset == float(text)


def test_a_level_without_end_is_no_number_of_counts(parsed):
    assert "--Edges-level -inf is not a number of raw counts" in refusal(
        parsed, "Edges", "--group", "a", "--level=-inf"
    )


def test_what_is_no_number_is_an_option(parsed, capsys):
    with pytest.raises(SystemExit), parsed("PlotAll", "--Edges-level", "-x1"):
        pass
    assert "--Edges-level: expected one argument" in capsys.readouterr().err


def test_a_section_of_another_step_and_the_case_of_names_are_no_error(parsed, pipeline):
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text() + "\n[Video]\nfps = 30\n")
    with parsed("Edges", "--group", "a-odd", "--threshold", "0.6") as root:
        assert (root.group, root.threshold) == ("a-odd", 0.6)
