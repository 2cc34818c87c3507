"""What a process uses while it serves one call: its processor time and its peak memory."""

import contextlib
import sys
import time
from pathlib import Path

import psutil

from neuroluigi.engines.supervisor import Identity


class Meter:
    """Measures the processor time and the peak memory of a process from now on, as far as the system tells them."""

    def __init__(self, program: Identity | None):
        self._process: psutil.Process | None = None
        self._used: dict[str, float] = {}
        with contextlib.suppress(psutil.Error, OSError):
            if program:
                process = psutil.Process(int(program[0]))
                # From here on Linux measures a new peak.
                with contextlib.suppress(OSError):
                    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
                self._seconds_before = _cpu_seconds(process)
                self._process = process

    def read(self) -> dict[str, float]:
        """Return cpu_seconds and peak_memory_bytes; of a process that has ended, those of the last time.

        cpu_seconds is left out where no time is measured: less than the resolution of the system's clock is not 0 s.
        """
        if self._process is None:
            return self._used
        with contextlib.suppress(psutil.Error, OSError):
            if seconds := round(_cpu_seconds(self._process) - self._seconds_before, 6):
                self._used["cpu_seconds"] = seconds
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
                peak = next(line for line in lines if line.startswith("VmHWM:"))
                self._used["peak_memory_bytes"] = int(peak.split()[1]) * 1024
        return self._used


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    own = times.user + times.system
    if sys.platform == "linux":
        # Those times have a resolution of 10 ms; the clock of the process (clock_getcpuclockid(3)) has nanoseconds.
        own = time.clock_gettime((~process.pid << 3) | 2)
    return own + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
