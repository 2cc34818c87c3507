"""What warm engine sessions save: a trivial call, and the fake pipeline of 10 groups, warm and a process per call.

    python benchmarks/calls.py

Engines are Octave and the tests' stand-in for Matlab, which runs on Octave, with a start of 5 seconds. Prints seconds,
starts of the engine, and the ratio of a process per call to warm sessions.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from neuroluigi import sessions
from neuroluigi.calls import call_function
from neuroluigi.engines import Engine
from neuroluigi.sessions import Limits

REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
FAKE_MATLAB = REPOSITORY / "tests" / "fake_matlab" / "bin" / "matlab"
START_SECONDS = 5


def time_calls(engine: Engine, folder: Path, is_warm: bool, count: int) -> list[float]:
    """Return the seconds of each of `count` trivial calls; of warm ones, those after the first."""
    (folder / "trivial.m").write_text("function trivial()\nend\n")
    seconds = []
    for _ in range(count + is_warm):
        began = time.perf_counter()
        call_function(engine, "trivial", [], folder, folder / "log", Limits(is_warm=is_warm))
        seconds.append(time.perf_counter() - began)
    sessions.close_pool()
    return seconds[is_warm:]


def run_pipeline(engine: str, workers: int, is_warm: bool, env: dict[str, str]) -> tuple[float, int]:
    """Return seconds and starts of the engine of the whole fake pipeline, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder)
        for name in ("tasks.py", "targets.py", "luigi.cfg"):
            shutil.copy(REPOSITORY / name, lab)
        shutil.copytree(REPOSITORY / "matlab", lab / "matlab")
        starts = lab / "starts"
        settings = ["--matlab-engine", engine, "--matlab-warm", str(is_warm), "--matlab-seats", str(workers)]
        command = [BIN / "luigi", "--module", "tasks", "PlotAll", "--local-scheduler", "--workers", str(workers)]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, *settings, "--matlab-command", str(FAKE_MATLAB), "--log-level", "WARNING"],
            cwd=lab,
            env={**os.environ, **env, "FAKE_MATLAB_STARTS": str(starts)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return seconds, starts.read_text().split().count("start") if starts.exists() else 0


def main() -> None:
    """Print a table of calls and one of pipelines."""
    os.environ["FAKE_MATLAB"] = f"slow={START_SECONDS}"
    engines = {
        "octave": Engine("octave", (shutil.which("octave-cli"),)),
        f"stand-in, {START_SECONDS} s start": Engine("matlab", (str(FAKE_MATLAB),)),
    }
    print(f"{'a trivial call':24} {'cold [s]':>9} {'warm [ms]':>10} {'cold/warm':>10}")
    for name, engine in engines.items():
        with tempfile.TemporaryDirectory() as folder:
            cold = statistics.median(time_calls(engine, Path(folder), False, 3))
            warm = statistics.median(time_calls(engine, Path(folder), True, 50))
        print(f"{name:24} {cold:9.2f} {1000 * warm:10.1f} {cold / warm:10.0f}", flush=True)
    print(f"\n{'10 groups':24} {'workers':>7} {'cold [s]':>9} {'starts':>7} {'warm [s]':>9} {'starts':>7} {'ratio':>6}")
    for engine, workers in (("octave", 1), ("octave", 2), ("matlab", 2)):
        env = {"FAKE_MATLAB": f"slow={START_SECONDS}"}
        cold, cold_starts = run_pipeline(engine, workers, False, env)
        warm, warm_starts = run_pipeline(engine, workers, True, env)
        name = f"stand-in, {START_SECONDS} s start" if engine == "matlab" else engine
        starts = (cold_starts or "-", warm_starts or "-")
        print(
            f"{name:24} {workers:7} {cold:9.1f} {starts[0]:>7} {warm:9.1f} {starts[1]:>7} {cold / warm:6.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
