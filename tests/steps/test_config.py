"""Settings: read once per run, with errors that name the section; the folders that they name."""

import os
from pathlib import Path

import luigi
import pytest

from neuroluigi.steps import config
from neuroluigi.steps.config import (
    KindsParameter,
    RunStopped,
    WordsParameter,
    declared_roots,
    folder_name,
    path_of,
    recordings,
    recordings_root,
    results,
    results_root,
    roots_of_paths,
    set_defaults,
    setting,
    shown_path,
    whole_pipeline,
)


def test_words_are_split_at_commas_and_written_back():
    words = WordsParameter()
    assert words.parse(" a, b c ,, d") == ("a", "b c", "d")
    assert words.normalize("a,b") == words.normalize(["a", "b"]) == ("a", "b")
    assert words.serialize(("a", "b c")) == "a, b c" and words.parse(words.serialize(())) == ()


def test_kinds_are_those_of_which_a_result_can_be_remade():
    assert KindsParameter().normalize("inputs, code") == ("inputs", "code")
    with pytest.raises(ValueError, match="colour: results are remade for inputs, parameters, code, tools"):
        KindsParameter().normalize("inputs,colour")


def test_a_setting_is_read_from_luigi_cfg_and_the_command_line_wins(declare, command_line):
    declare("results", rerun_on="code")
    assert setting(results).rerun_on == ("code",) and not setting(results).trust_existing
    declare("results", rerun_on="tools")
    assert setting(results).rerun_on == ("tools",)
    command_line("recordings", "--results-rerun-on", "inputs,code")
    assert setting(results).rerun_on == ("inputs", "code")
    # Throughout a run the settings are the same object.
    assert setting(results) is setting(results)


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("results", "rerun_on", "colour", "luigi: [results] in luigi.cfg or on the command line: colour: results are"),
        ("recordings", "channels", "two", "luigi: [recordings] in luigi.cfg or on the command line: "),
        ("recordings", "partial_sample", "trim", "luigi: [recordings] in luigi.cfg or on the command line: "),
    ],
)
def test_a_setting_that_cant_be_read_stops_the_run_in_one_line(declare, section, name, value, message):
    declare(section, **{name: value})
    with pytest.raises(RunStopped) as stopped:
        setting(getattr(config, section))
    assert str(stopped.value).startswith(message) and "\n" not in str(stopped.value)


def test_the_task_of_the_whole_pipeline_has_to_be_named(declare):
    with pytest.raises(RunStopped) as stopped:
        whole_pipeline()
    assert str(stopped.value) == (
        "neuroluigi: there is no task for the whole pipeline: set [neuroluigi] task in luigi.cfg, or give --task"
    )
    with pytest.raises(RunStopped, match="or give --of"):
        whole_pipeline("--of")
    declare("neurolugi", task="PlotAll")
    with pytest.raises(RunStopped, match=r"; did you mean that with \[neurolugi\] task\?$"):
        whole_pipeline()
    declare("neuroluigi", task="PlotAll")
    assert whole_pipeline() == "PlotAll"


def test_groups_are_by_the_format_where_recordings_exist_and_by_session_and_parity_where_they_are_fake(declare):
    assert not setting(recordings).are_real()
    assert setting(recordings).declaration().group_by == ("session", "parity")
    declare("recordings", root="real")
    assert setting(recordings).are_real()
    assert setting(recordings).declaration().group_by == ()
    declare("recordings", group_by="area, session")
    assert setting(recordings).declaration().group_by == ("area", "session")


def test_roots_are_absolute_and_links_are_not_followed(declare, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    declare("results", root="link/../link/out")
    assert results_root() == tmp_path / "link" / "out"
    assert recordings_root() == tmp_path / "recordings"
    declare("recordings", root=tmp_path / "disk")
    assert roots_of_paths() == {"results": tmp_path / "link" / "out", "recordings": tmp_path / "disk"}


def test_a_path_is_shown_from_the_current_folder(declare, tmp_path):
    assert shown_path(tmp_path / "results" / "a") == str(Path("results/a"))
    assert shown_path(tmp_path.parent / "elsewhere") == str(tmp_path.parent / "elsewhere")


def test_the_same_parts_are_the_same_path():
    assert path_of("a", "b") is path_of("a", "b") == Path("a/b")


def test_a_name_that_leads_out_of_its_folder_stops_the_run():
    assert folder_name("a-even", "group") == "a-even"
    for name in ("../a", "a/b", ""):
        with pytest.raises(RunStopped, match="group"):
            folder_name(name, "group")


def test_defaults_leave_what_luigi_cfg_sets(declare):
    declare("retcode", task_failed=1)
    set_defaults()
    get = luigi.configuration.get_config().get
    assert get("retcode", "task_failed") == "1" and get("retcode", "scheduling_error") == "35"
    assert get("core", "no_lock") == "true"


def test_a_file_names_the_folders_relative_to_it_unless_a_link_leads_it_elsewhere(tmp_path, monkeypatch, declare):
    monkeypatch.chdir(tmp_path)
    declare("results", root="results")
    declare("recordings", root="raw")
    assert declared_roots(results_root() / "a") == {"results": "..", "recordings": "../../raw"}
    (tmp_path / "far/disk/a").mkdir(parents=True)
    (tmp_path / "results").symlink_to("far/disk")
    assert declared_roots(results_root() / "a") == {"results": "..", "recordings": (tmp_path / "raw").as_posix()}
    (tmp_path / "results").unlink()
    (tmp_path / "results").mkdir()
    (tmp_path / "results/a").symlink_to(tmp_path / "far/disk/a")
    assert declared_roots(results_root() / "a")["results"] == (tmp_path / "results").as_posix()


def test_a_path_is_shown_from_the_current_folder_where_it_is_below_it(tmp_path, monkeypatch):
    here = tmp_path / "lab"
    here.mkdir()
    monkeypatch.chdir(here)
    assert shown_path(here / "a" / "b.bin") == shown_path(str(here / "a" / "b.bin")) == str(Path("a", "b.bin"))
    assert shown_path(here) == shown_path(f"{here}{os.sep}") == "."
    assert shown_path(tmp_path / "laboratory") == str(tmp_path / "laboratory")
    assert shown_path(Path("a", "b.bin")) == str(Path("a", "b.bin")) and shown_path(tmp_path) == str(tmp_path)
