"""The settings in force, where each comes from, and which of them are secret."""

import luigi
from luigi.task_register import Register

from neuroluigi.runner.options import classes_of_sections, deciding_settings, in_force, without_secrets


class WithSecret(luigi.Task):
    api_key = luigi.Parameter("", visibility=luigi.parameter.ParameterVisibility.PRIVATE)


def test_secrets_are_left_out_however_they_are_given():
    words = ["WithSecret", "--api-key", "s3", "--WithSecret-api-key=s3", "--WithSecret-api-key", "s3", "--workers", "2"]
    assert without_secrets(words) == [
        *["WithSecret", "--api-key", "***", "--WithSecret-api-key=***", "--WithSecret-api-key", "***", "--workers", "2"]
    ]


def test_each_setting_has_its_value_and_source(parsed):
    with parsed("Edges", "--group", "a-odd", "--threshold", "0.6", "--matlab-seats", "3") as root:
        found = {one.name: (one.value, one.source) for one in in_force(root)}
    assert found["[Edges] threshold"] == ("0.6", "command line") and found["[Edges] group"] == ("a-odd", "command line")
    assert found["[matlab] seats"] == ("3", "command line")
    assert found["[recordings] dtype"] == ("uint8", "luigi.cfg") and found["[Edges] level"] == ("", "luigi.cfg")
    # The package's own come first.
    names = list(found)
    assert names.index("[matlab] seats") < names.index("[Edges] group")


def test_settings_that_decide_over_results(parsed, pipeline):
    with parsed("Edges", "--group", "a-odd", "--threshold", "0.6", "--matlab-seats", "3", "--workers", "2") as root:
        found = deciding_settings(root)
    assert found["Edges.threshold"] == "0.6" and found["results.root"] == str(pipeline.results)
    assert found["recordings.dtype"] == "uint8" and found["recordings.root"] == str(pipeline.folder / "recordings")
    # It decides which files there are, and not what is in them.
    assert found["Aggregate.copy"] == "auto"
    assert not [name for name in found if name.startswith(("matlab.", "core.")) or name == "Edges.rerun_on"]


def test_the_classes_of_all_sections_are_found_together(parsed, monkeypatch):
    # Luigi goes through all classes of the process for each question.
    asked, luigis = [], Register._get_reg
    with parsed("PlotAll") as root:
        monkeypatch.setattr(Register, "_get_reg", lambda: asked.append(1) or luigis())
        assert deciding_settings(root) and in_force(root)
    assert len(asked) < 20


def test_two_classes_of_one_name_are_none(monkeypatch):
    twins = [type("Twin", (luigi.Task,), {"__module__": name}) for name in ("one", "other")]
    monkeypatch.setattr(Register, "_reg", [*Register._reg])
    assert twins[0] in Register._reg and "Twin" not in classes_of_sections()
    assert classes_of_sections()["WithSecret"] is WithSecret
