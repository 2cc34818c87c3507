"""Names that a disk can't hold are refused before anything is made; the longest that are taken do work."""

import json
import os

import luigi
import pytest

import neuroluigi
from neuroluigi import StudyTask
from neuroluigi.steps import long_names
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.plan import status_of

LIMIT = 255


class Long(StudyTask):
    file = luigi.Parameter()
    value = luigi.Parameter(default="x")
    fails = luigi.BoolParameter(default=False, significant=False)
    filename_parameters = ("value",)

    def output(self):
        return self.result(self.file), self.result_folder(f"{self.file[:-4]}.x")

    def make(self, out):
        self.report_progress(1, 2)
        if self.fails:
            raise ValueError("no")
        out[0].write_text("x")
        (out[1] / "y").write_text("y")


def filled(size: int, text: str) -> str:
    """Return a name of `size` bytes in all, made of a text."""
    count, left = divmod(size, len(text.encode()))
    return "a" * left + text * count


@pytest.mark.skipif(os.name == "nt", reason="counts in another way")
@pytest.mark.parametrize("text", ["b", "ä", "日"])
def test_the_longest_names_work_and_one_byte_more_is_refused(declare, tmp_path, text):
    size, of_record = LIMIT - 31, LIMIT - 31 - len(".progress") - len("Long-.json")
    file, value = f"{filled(size - 4, text)}.txt", filled(of_record, text)
    assert not neuroluigi.build([Long(file, value, fails=True)])
    runs = tmp_path / "results" / "study" / "runs"
    assert json.loads((runs / f"Long-{value}.failed.json").read_text())["error"]
    assert neuroluigi.build([Long(file, value)])
    assert (runs.parent / file).read_text() == "x" and (runs / f"Long-{value}.json").is_file()
    assert not [path for path in runs.parent.rglob("*") if ".part-" in path.name]
    for one, name in ((Long(f"a{file}", value), f"a{file}"), (Long(file, f"a{value}"), f"Long-a{value}.json")):
        told = rf"{name} has \d+ bytes, 1 more than fit: a name may have 255 on this disk"
        with pytest.raises(RunStopped, match=told):
            neuroluigi.build([one])
        with pytest.raises(RunStopped, match=told):
            status_of(one)
    # A file that is put aside has a longer name too.
    (runs.parent / file).write_text("")
    assert neuroluigi.build([Long(file, value)])


def test_the_disk_says_how_long_a_name_may_be(declare, tmp_path, monkeypatch):
    monkeypatch.setattr(long_names.os, "pathconf", lambda path, name: 143, raising=False)
    long_names._longest_name_in.cache_clear()
    try:
        with pytest.raises(RunStopped, match="a name may have 143 on this disk"):
            status_of(Long(filled(120, "b") + ".txt"))
    finally:
        long_names._longest_name_in.cache_clear()
