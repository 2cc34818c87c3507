"""A Slurm of a few virtual nodes on this machine, on loopback only, that ends with whoever started it.

Debian: apt-get install --no-install-recommends slurm-wlm munge. Needs no root: munged has its own key and socket.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
IS_INSTALLED = all(shutil.which(name, path=_PATH) for name in PROGRAMS)

CONF = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool-%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd-%n.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
# Nodes are believed, not measured.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# By default a job may wait for half a minute.
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=100000
Licenses=matlab:2
ReturnToService=2
SlurmdTimeout=15
KillWait=10
MaxArraySize=1001
"""


class Cluster:
    """Nodes n1, n2, ... of some CPUs each, in a folder; a context that starts and stops them."""

    def __init__(self, base: Path, nodes: int = 3, cpus: int = 2):
        self.base = base
        self.nodes = [f"n{number + 1}" for number in range(nodes)]
        self._cpus = cpus
        self._hurried: dict[str, float] = {}
        self.env = {"SLURM_CONF": str(base / "slurm.conf")}

    def __enter__(self) -> "Cluster":
        # munged wants a folder that nobody else may write to.
        self.base.mkdir(mode=0o755)
        for name in ("state", *(f"spool-{node}" for node in self.nodes)):
            (self.base / name).mkdir()
        host, ports = socket.gethostname().split(".")[0], _free_ports(1 + len(self.nodes))
        text = CONF.format(host=host, ports=ports, base=self.base, user=psutil.Process().username())
        for node, port in zip(self.nodes, ports[1:], strict=True):
            where = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            text += f"NodeName={node} {where} CPUs={self._cpus} RealMemory=4000\n"
        text += "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        (self.base / "slurm.conf").write_text(text)
        key = self.base / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        try:
            files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
            # The last words let a user munge who is root.
            self.run("munged", "--force", *(f"--{flag}={self.base}/munge.{name}" for flag, name in files.items()))
            self.start_controller()
            for node in self.nodes:
                self.run("slurmd", "-N", node)
            wait_for(lambda: self.run("sinfo", "-hN", "-t", "idle").count("\n") == len(self.nodes), 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.run("scancel", "--me")
            wait_for(lambda: not self.queue(), 60)
        for pattern in ("slurmd-*.pid", "slurmctld.pid", "munge.pid"):
            _end([int(path.read_text()) for path in self.base.glob(pattern) if path.read_text().strip()])

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """Run a program of Slurm's; return what it prints."""
        env = {**os.environ, **self.env, "PATH": _PATH}
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=True).stdout

    def start_controller(self) -> None:
        self.run("slurmctld")

    def stop_controller(self) -> None:
        _end([int((self.base / "slurmctld.pid").read_text())])

    def queue(self) -> list[str]:
        """Return "id state node" of each job, and of each element of an array, in the queue."""
        return self.run("squeue", "-h", "--array", "-o", "%i %T %N").splitlines()

    def hurry(self) -> None:
        """Start what was queued again, for which Slurm waits two minutes."""
        now = time.monotonic()
        for line in self.run("squeue", "-h", "--array", "-o", "%i %T %r").splitlines():
            job, state, reason = line.split(maxsplit=2)
            is_new = now - self._hurried.get(job, float("-inf")) > 5
            if (state, reason) == ("PENDING", "BeginTime") and is_new:
                self._hurried[job] = now
                # In the second in which it was stopped Slurm takes the next start for the one that is over.
                self.run("scontrol", "update", f"jobid={job}", "starttime=now+2")

    def processes(self, node: str) -> list[psutil.Process]:
        """Return Slurm's processes for jobs on a node, and the jobs' own; another cluster may have one of that name."""
        found = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                is_ours = environment.get("SLURM_CONF") == self.env["SLURM_CONF"]
                if is_ours and environment.get("SLURMD_NODENAME") == node and process.status() != psutil.STATUS_ZOMBIE:
                    found |= {process, *(one for one in process.parents() if one.name().startswith("slurmstepd"))}
        return list(found)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all that runs on it, as a power cut does, and let Slurm know at once."""
        daemon = psutil.Process(int((self.base / f"slurmd-{node}.pid").read_text()))
        for process in [daemon, *self.processes(node)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def revive_node(self, node: str) -> None:
        self.run("slurmd", "-N", node)
        wait_for(lambda: "down" not in self.run("sinfo", "-hN", "-n", node, "-o", "%t"), 60)


def wait_for(is_so: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _end(pids: list[int]) -> None:
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
            processes[-1].terminate()
    for one in psutil.wait_procs(processes, timeout=10)[1]:
        one.kill()
