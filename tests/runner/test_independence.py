"""Results don't depend on what ran before, in the same process or the same engine, nor on the number of workers."""

import itertools

from tests.conftest import Pipeline, needs_octave

STEPS = '''
import os
import random
import sys
import warnings

import numpy as np

class Leaves(GroupTask):
    """Writes down what it finds, and leaves all of it changed."""

    number = luigi.IntParameter()
    filename_parameters = ("number",)

    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return self.result(f"leaves-{self.number}.txt")

    def make(self, out):
        import matplotlib as mpl

        found = (os.path.basename(os.getcwd()), os.environ.get("LEFT_OVER"), random.random(), np.random.normal(),
                 np.geterr(), warnings.filters, mpl.rcParams["lines.linewidth"], sys.path[0], str(np.array([1 / 3])))
        out.write_text(repr(found))
        os.chdir("/")
        os.environ["LEFT_OVER"] = self.group
        sys.path.insert(0, self.group)
        np.seterr(all="ignore")
        warnings.simplefilter("ignore")
        mpl.rcParams["lines.linewidth"] = self.number + 7
        np.set_printoptions(precision=self.number + 1)

class LeavesInEngine(GroupTask, MatlabTask):
    number = luigi.IntParameter()
    filename_parameters = ("number",)
    function = "leaveBehind"

    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return self.result(f"behind-{self.number}.txt")

    def arguments(self, out):
        return [self.number, out]

class Everything(WrapperTask):
    def requires(self):
        return [kind(group, number) for number in range(4) for group in groups() for kind in (Leaves, LeavesInEngine)]
'''

LEAVE_BEHIND = """function leaveBehind(number, outFile)
  persistent calls
  global SHARED
  if isempty(calls), calls = 0; end
  if isempty(SHARED), SHARED = 0; end
  calls = calls + 1;
  SHARED = SHARED + number;
  [~, folder] = fileparts(pwd());
  fid = fopen(outFile, 'w');
  fprintf(fid, '%s\\n', folder, disp(pi), sprintf('%d', calls, SHARED), sprintf('%.17g ', rand(1, 2), randn(1, 2)));
  fclose(fid);
  cd('/');
  format('long');
  warning('off', 'all');
  rand('state', number);
end
"""

WAYS = (["--workers", "1"], ["--workers", "2"], ["--workers", "1", "--matlab-warm", "false"])


@needs_octave
def test_results_are_the_same_with_any_number_of_workers_in_warm_engines_and_in_new_ones(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    lab.add(STEPS)
    (lab.folder / "matlab" / "leaveBehind.m").write_text(LEAVE_BEHIND)
    found = []
    for way in WAYS:
        root = "results" + "".join(way)
        out = lab.run(
            "Everything", "--FakeRecording-sessions", "s", "--matlab-engine", "octave", "--results-root", root, *way
        )
        assert "8 Leaves, 8 LeavesInEngine" in out.replace("FakeRecording", ""), out
        found.append({path.name + path.parent.name: path.read_bytes() for path in (lab.folder / root).rglob("*.txt")})
    for ours, others in itertools.pairwise(found):
        assert len(ours) == 16 and ours == others
    # What a step finds does not depend on the group either: nothing of this is read from the recordings.
    assert len({content for name, content in found[0].items() if name.startswith("leaves")}) == 1
