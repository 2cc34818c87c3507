"""What warm engine sessions save: a trivial call, and the fake pipeline, warm and with a process per call.

The slow engine is the tests' stand-in for Matlab, which runs on Octave, with a start of 5 seconds.
"""

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from table import REPOSITORY, Row, luigi, make_lab

from neuroluigi.engines.call import call_function
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.pool import close_pool
from neuroluigi.engines.session import Limits
from neuroluigi.engines.values import encode_arguments

FAKE_MATLAB = REPOSITORY / "tests" / "fake_matlab" / "bin" / "matlab"
START_SECONDS = 5


def seconds_of_calls(engine: Engine, folder: Path, is_warm: bool, count: int) -> list[float]:
    """Return the seconds of each of `count` trivial calls; of warm ones, those after the first."""
    (folder / "trivial.m").write_text("function trivial()\nend\n")
    seconds = []
    for _ in range(count + is_warm):
        began = time.perf_counter()
        call_function(engine, "trivial", encode_arguments([]), [folder], folder / "log", Limits(is_warm=is_warm))
        seconds.append(time.perf_counter() - began)
    close_pool()
    return seconds[is_warm:]


def one_call(folder: Path, quick: bool) -> Iterator[Row]:
    """A trivial call of Octave."""
    engine = Engine("octave", (shutil.which("octave-cli"),))
    cold = statistics.median(seconds_of_calls(engine, folder, False, 3))
    warm = 1000 * statistics.median(seconds_of_calls(engine, folder, True, 20 if quick else 100))
    yield Row("a trivial call, Octave, warm", f"{warm:.1f} ms", f"in ms; a process per call {cold:.2f} s", warm, 15)


def slow_engine(folder: Path, quick: bool) -> Iterator[Row]:
    """The fake pipeline with an engine that is slow to start, as Matlab is."""
    start = 1 if quick else START_SECONDS
    seconds, starts = {}, {}
    for is_warm in (True, False):
        lab = make_lab(folder / str(is_warm))
        env = {"FAKE_MATLAB": f"slow={start}", "FAKE_MATLAB_STARTS": str(lab / "starts")}
        settings = ["--matlab-engine", "matlab", "--matlab-command", str(FAKE_MATLAB), "--matlab-seats", "2"]
        options = [*settings, "--workers", "2", "--matlab-warm", str(is_warm)]
        seconds[is_warm] = luigi(lab, *options, env=env).seconds
        starts[is_warm] = (lab / "starts").read_text().split().count("start")
    work = f"fake pipeline, engine with a start of {start} s, 2 workers"
    against = f"a process per call {seconds[False]:.1f} s"
    ratio = seconds[False] / seconds[True]
    yield Row(work, f"{seconds[True]:.1f} s", against, ratio, at_least=10)
    yield Row("its starts of the engine", f"{starts[True]}", f"a process per call {starts[False]}", starts[True], 2)
