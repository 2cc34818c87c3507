"""What of a command line and luigi.cfg is understood, and what is refused in one line."""

import pytest

from neuroluigi.runner.command_line import check_options, named_module, use_current_folder
from neuroluigi.steps.config import RunStopped


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
        (["Stats"], "requires the 'group' parameter to be set"),
        (["PlotAll", "--workers", "0"], "--workers 0: there has to be at least one"),
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


def test_a_short_option_is_one_of_the_task_that_is_named_alone():
    with pytest.raises(RunStopped, match="there is no option --threshold"):
        check_options(["PlotAll", "--threshold", "1"])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("threshold =", "treshold =", "luigi.cfg, [Edges] treshold: there is no such setting; there are: "),
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


def test_a_section_of_another_step_and_the_case_of_names_are_no_error(parsed, pipeline):
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text() + "\n[Video]\nfps = 30\n")
    with parsed("Edges", "--group", "a-odd", "--threshold", "0.6") as root:
        assert (root.group, root.threshold) == ("a-odd", 0.6)
