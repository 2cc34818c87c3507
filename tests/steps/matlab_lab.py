"""A lab with a Matlab step of its own, and the fake `matlab` on its PATH."""

import json
import os

from tests.conftest import FAKE_MATLAB, Pipeline, clean_environment

MATLAB_FOLDER = FAKE_MATLAB.parent

# Two groups are enough: each takes three calls.
FEW = ("--FakeRecording-sessions", "a")

NO_ENGINES = ("--matlab-command", "no-matlab", "--matlab-octave-command", "no-octave")

OWN_STEPS = """
import luigi
from neuroluigi import GroupTask, MatlabTask, RecordingMaker, groups


class FakeRecording(RecordingMaker):
    def make(self, out):
        out.write_bytes(bytes([1, 2, 3, 4]))


class Length(GroupTask, MatlabTask):
    function = "writeLength"

    def requires(self):
        return [FakeRecording(session=r.session, index=r.index) for r in self.recordings]

    def output(self):
        return self.result("length.txt")

    def arguments(self, out):
        return [[one.path for one in self.input()], out]
"""

WRITE_LENGTH = """
function writeLength(files, lengthFile)
  disp('counting');
  if ~isempty(getenv('LAB_FAILS'))
    countBytes(files, 'wrong');
  end
  fid = fopen(lengthFile, 'w');
  fprintf(fid, '%d', countBytes(files, 'right'));
  fclose(fid);
end
"""

COUNT_BYTES = """
function total = countBytes(files, how)
  total = 0;
  for k = 1:numel(files)
    entry = dir(files{k});
    total = total + entry.bytes;
  end
  if strcmp(how, 'wrong')
    error('countBytes:wrong', '%s', ['counted ' sprintf('%d', total) ' bytes']);
  end
end
"""


def with_matlab() -> dict[str, str]:
    return {"PATH": os.pathsep.join((str(MATLAB_FOLDER), clean_environment()["PATH"]))}


def record(pipeline, group: str, step: str, kind: str = "json") -> dict:
    return json.loads((pipeline.results / group / "runs" / f"{step}.{kind}").read_text(encoding="utf-8"))


def with_own_step(pipeline: Pipeline) -> Pipeline:
    """Give a lab one step alone, of its own, whose function has no NumPy function."""
    (pipeline.folder / "tasks.py").write_text(OWN_STEPS)
    (pipeline.folder / "matlab" / "writeLength.m").write_text(WRITE_LENGTH.lstrip())
    (pipeline.folder / "matlab" / "countBytes.m").write_text(COUNT_BYTES.lstrip())
    config = pipeline.folder / "luigi.cfg"
    # A setting that this FakeRecording does not have is refused.
    config.write_text(config.read_text(encoding="utf-8").replace("bytes = 100", ""), encoding="utf-8")
    return pipeline
