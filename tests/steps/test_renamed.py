"""Names of earlier releases are refused with the new name: commands, settings, options, attributes, methods, names."""

import pickle

import luigi
import pytest
from click.testing import CliRunner

import neuroluigi
from neuroluigi import GroupTask
from neuroluigi.cli.main import main
from neuroluigi.runner.run import luigi_command
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.renamed import (
    COMMANDS,
    EXPORTS,
    OPTIONS,
    SETTINGS,
    STEP_ATTRIBUTES,
    STEP_METHODS,
    setting_in_file,
    setting_option,
)


def answer(*words) -> str:
    """Return what `neuroluigi WORDS` prints, which has to fail."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code != 0 and "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(("old", "new"), COMMANDS.items())
def test_a_command_is_refused(old, new):
    assert f"the command {old} is called {new} now" in answer(old)


def test_new_names_of_commands_are_commands():
    for new in COMMANDS.values():
        assert CliRunner().invoke(main, [*new.split(), "--help"]).exit_code == 0


def test_the_global_option_root_is_refused():
    assert OPTIONS["root"] == "task"
    assert "the option --root is called --task now" in answer("--root", "PlotAll", "status")


@pytest.fixture
def lab(declare, tmp_path, monkeypatch):
    """A folder with a pipeline of one step."""
    (tmp_path / "renamed_tasks.py").write_text(
        "from neuroluigi import StudyTask\nclass RenamedStep(StudyTask):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return declare


@pytest.mark.parametrize(("old", "new"), OPTIONS.items())
def test_an_option_is_refused(lab, old, new):
    with pytest.raises(RunStopped, match=f"the option --{old} is called --{new} now"):
        luigi_command(["RenamedStep", "--module", "renamed_tasks", f"--{old}", "--local-scheduler"])


@pytest.mark.parametrize(("old", "new"), SETTINGS.items())
def test_a_setting_is_refused_in_luigi_cfg_and_on_the_command_line(lab, old, new, capsys):
    command = ["--module", "renamed_tasks", "RenamedStep", "--local-scheduler"]
    with pytest.raises(RunStopped) as stopped:
        luigi_command([*command, setting_option(old), "true"])
    assert f"the option {setting_option(old)} is called {setting_option(new)} now" in str(stopped.value)
    section, name = old.split(".")
    lab(section, **{name: "true"})
    with pytest.raises(RunStopped) as stopped:
        luigi_command(command)
    assert f"the setting {setting_in_file(old)} is called {setting_in_file(new)} now" in str(stopped.value)


@pytest.mark.parametrize("new", SETTINGS.values())
def test_the_new_setting_exists(new):
    section, name = new.split(".")
    assert name in luigi.task_register.Register.get_task_cls(section).get_param_names(include_significant=True)


def test_settings_are_named_as_a_user_types_them():
    assert setting_option("recordings.allow_missing") == "--recordings-allow-missing"
    assert setting_in_file("recordings.allow_missing") == "[recordings] allow_missing"


@pytest.mark.parametrize(("old", "new"), STEP_ATTRIBUTES.items())
@pytest.mark.parametrize("is_inherited", [False, True])
def test_an_attribute_of_a_step_is_refused_where_the_class_is_defined(old, new, is_inherited):
    mixin = type("Mixin", (), {old: ()})
    with pytest.raises(TypeError, match=f"the attribute of Old_{old} {old} is called {new} now"):
        type(f"Old_{old}", (mixin, GroupTask) if is_inherited else (GroupTask,), {} if is_inherited else {old: ()})
    assert hasattr(neuroluigi.MatlabTask, new)


def test_facts_of_a_step_are_its_fingerprint_unless_that_is_defined_after_them():
    with pytest.warns(FutureWarning, match=r"the method of FirstWords facts is called fingerprint now"):
        first = type("FirstWords", (GroupTask,), {"facts": lambda self: {"old": 1}})
    mixin = type("Mixin", (), {"facts": lambda self: {"old": 2}})
    with pytest.warns(FutureWarning, match="method of MixedWords facts"):
        mixed = type("MixedWords", (mixin, GroupTask), {})
    new = type("NewWords", (first,), {"fingerprint": lambda self: {"new": 3}})
    newest = type("NewestWords", (new,), {})
    assert [kind("g").fingerprint() for kind in (first, mixed, new, newest)] == [
        {"old": 1},
        {"old": 2},
        {"new": 3},
        {"new": 3},
    ]


class Modern(GroupTask):
    @property
    def broken(self):
        return self.group.no_such_thing


class OwnLayout(GroupTask):
    def layout(self):
        return "of the lab"


@pytest.mark.parametrize(("old", "new"), STEP_METHODS.items())
def test_a_method_of_a_step_is_refused_where_it_is_called(old, new):
    with pytest.raises(AttributeError, match=f"the method of Modern {old} is called {new} now"):
        getattr(Modern("g"), old)
    assert not hasattr(Modern("g"), old) and hasattr(Modern("g"), new)


def test_refused_methods_are_no_harm_to_a_step():
    copied = pickle.loads(pickle.dumps(Modern("g")))
    assert copied.group == "g" and not hasattr(copied, "anything")
    assert OwnLayout("g").layout() == "of the lab"
    # The error is that of the property's own code.
    with pytest.raises(AttributeError, match="'str' object has no attribute 'no_such_thing'"):
        _ = Modern("g").broken


@pytest.mark.parametrize(("old", "new"), EXPORTS.items())
def test_a_name_of_the_package_is_refused(old, new):
    with pytest.raises(AttributeError, match=f"the name neuroluigi.{old} is called neuroluigi.{new} now"):
        getattr(neuroluigi, old)
    assert hasattr(neuroluigi, new)
    with pytest.raises(AttributeError, match="module 'neuroluigi' has no attribute 'nothing'"):
        _ = neuroluigi.nothing
