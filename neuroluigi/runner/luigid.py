"""luigid: one scheduler for several runs, whose steps it shows in a browser.

The `luigid` command is Luigi's own with the scheduler of this package; by default it listens on this machine's own
address alone, and luigid_gate.py says who may do what there. It keeps the tasks of each folder of results apart: the
client, in each run, appends to every task id a suffix for its folder. Steps whose run died go to another run at once; a
step that failed waits for the next run.
"""

import argparse
import contextlib
import functools
import hashlib
import html
import http.client
import itertools
import json
import logging
import pickle
import secrets
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import luigi
import luigi.rpc
import luigi.scheduler
from luigi.scheduler import BATCH_RUNNING, DISABLED, FAILED, PENDING, RUNNING, UNKNOWN

from neuroluigi.provenance.files import tail
from neuroluigi.provenance.own_file import NOT_WRITE, read_own, write_own
from neuroluigi.provenance.plain_text import use_plain_streams
from neuroluigi.runner import patches, scheduler, scheduler_state
from neuroluigi.runner.command_line import exit_on_error
from neuroluigi.runner.luigid_token import make_token, read_token, token_path
from neuroluigi.steps.config import RunStopped, set_defaults

logger = logging.getLogger("luigi-interface")

# A setting of luigid in a section of Luigi's, which would warn of it.
luigi.scheduler.scheduler.ignore_unconsumed = {"hosts"}

# The file that identifies a folder of results, on all machines that share it.
_IDENTITY = ".luigid"

# Calls whose loss does no harm: where luigid does not answer, the run does not wait.
_OPTIONAL = ("/api/set_task_status_message", "/api/set_task_progress_percentage")

_POLL_SECONDS = 0.5

# Characters of a line in the visualiser's box of an error.
_WIDTH = 68


class LuigidGone(RunStopped):
    """luigid did not answer for longer than a run waits."""


class RemoteScheduler(luigi.rpc.RemoteScheduler):
    """luigid, as a run on one folder of results sees it."""

    # Luigi adds these when it is imported.
    ping: Callable[..., dict]
    prune: Callable[[], None]
    update_resource: Callable[..., None]

    def __init__(self, url: str, results: Path, seats: int):
        self._shown, self._address, self._cure = _with_token(url)
        super().__init__(self._shown)
        self._results, self._seats = str(results), seats
        # What this run scheduled, as luigid knows it: family, module and parameters of each task.
        self._scheduled: dict[str, tuple] = {}
        # Whether luigid knows this run, and may have work for it later, by its latest answer.
        self.is_known, self.may_have_work = True, False
        self._is_answering, self._patience = True, 0.0
        try:
            # It changes nothing, but needs the token.
            self.prune()
        except luigi.rpc.RPCError as error:
            raise RunStopped(
                f"luigi: no luigid answers at {self._shown}; start one (luigid), or let this run do without:"
                " --local-scheduler"
            ) from error
        self._patience = self._rpc_retry_attempts * self._rpc_retry_wait
        self._suffix = "_" + hashlib.sha256(f"{_identity(results)}\n{results}".encode()).hexdigest()[:8]

    def __getstate__(self):
        # A step's process schedules nothing itself.
        return {**self.__dict__, "_scheduled": {}}

    def unregister(self, worker: str) -> None:
        """Notify luigid that this run is over, however it ended, so that its steps go to others at once."""
        with contextlib.suppress(luigi.rpc.RPCError):
            self.ping(worker=worker, is_leaving=True)

    def _request(self, url: str, data: Mapping, attempts: int = 3, allow_null: bool = True) -> Any:
        if url == "/api/add_worker":
            # So that steps don't queue for a seat while others could fill the workers.
            self.update_resource(resource="matlab" + self._suffix, amount=self._seats)
        if data.get("assistant") and url == "/api/get_work":
            raise RunStopped(
                "luigi: --assistant: a run makes nothing that it did not schedule itself; give the task here too, and"
                " both runs share its steps"
            )
        call = self._to_luigid(data)
        if url == "/api/add_task":
            self._scheduled[call["task_id"]] = call.get("family"), call.get("module"), call.get("params") or {}
        try:
            answer = super()._request(url, call, attempts, allow_null)
        except luigi.rpc.RPCError:
            if url in _OPTIONAL:
                return None
            raise
        if url == "/api/get_work" and not self._has_scheduled(answer):
            answer = self._refuse(call["worker"], answer)
        return self._from_luigid(answer)

    def _has_scheduled(self, work: Mapping) -> bool:
        """Return whether this run scheduled what luigid gives it: a task, a batch of tasks, or nothing."""
        if work.get("task_id"):
            return work["task_id"] in self._scheduled
        if "batch_id" not in work:
            return True
        kind, tasks = (work["task_family"], work["task_module"]), work["batch_task_ids"]
        if not tasks or any(self._scheduled.get(one, ())[:2] != kind for one in tasks):
            return False
        # Those of a batch have the same value of a parameter, or luigid lists the values of all.
        values = {name: [self._scheduled[one][2].get(name) for one in tasks] for name in work["task_params"]}
        return all(given in (values[name], values[name][0]) for name, given in work["task_params"].items())

    def _refuse(self, worker: str, work: Mapping) -> dict:
        """Refuse work that this run did not schedule; return the answer without it."""
        tasks = [work["task_id"]] if work.get("task_id") else work["batch_task_ids"]
        why = "this run did not schedule it"
        logger.warning("luigid gave out %s, which is refused: %s", ", ".join(tasks), why)
        for one in tasks:
            call = {"worker": worker, "task_id": one, "status": FAILED, "runnable": False, "expl": json.dumps(why)}
            super()._request("/api/add_task", call)
        return {**{name: value for name, value in work.items() if not name.startswith("batch_")}, "task_id": None}

    def _to_luigid(self, data: Mapping) -> dict:
        """Return the arguments of a call with luigid's names of tasks and resources."""
        call = dict(data)
        if call.get("task_id"):
            call["task_id"] += self._suffix
        for name in ("deps", "new_deps", "current_tasks"):
            call[name] = [one + self._suffix for one in call[name]] if call.get(name) else call.get(name)
        if call.get("params") is not None:
            given = {name: value for name, value in call["params"].items() if value != ""}
            call["params"] = {**given, "results_root": self._results}
        if call.get("resources"):
            call["resources"] = {n + self._suffix * (n == "matlab"): amount for n, amount in call["resources"].items()}
        if call.get("info"):
            call["info"] = [
                (n, v + self._suffix if n == "first_task" and v else v) for n, v in dict(call["info"]).items()
            ]
        if call.get("status_message"):
            # The visualiser takes it for HTML.
            call["status_message"] = html.escape(call["status_message"], quote=False)
        return {name: value for name, value in call.items() if name in data}

    def _from_luigid(self, reply):
        """Return an answer with this run's names of tasks."""
        if not isinstance(reply, dict):
            return reply
        if "running_tasks" in reply:
            self.is_known = reply.get("is_known", True)
            # Luigi's own luigid counts steps that failed, which wait for nothing but the time.
            is_ours = "is_known" in reply
            self.may_have_work = bool(reply["running_tasks"] or (is_ours and reply["n_pending_tasks"]))
            reply["running_tasks"] = [{**one, "task_id": self._own(one["task_id"])} for one in reply["running_tasks"]]
        if reply.get("task_id"):
            reply["task_id"] = self._own(reply["task_id"])
        if reply.get("batch_task_ids"):
            reply["batch_task_ids"] = [self._own(one) for one in reply["batch_task_ids"]]
        return reply

    def _own(self, task_id: str) -> str:
        return task_id.removesuffix(self._suffix)

    def _fetch(self, url_suffix: str, body: Mapping) -> str:
        """Return luigid's answer; wait where it is being started again.

        Raises LuigidGone where that takes too long, RunStopped where it refuses, and RPCError for an optional call.
        """
        patience = 0.0 if url_suffix in (*_OPTIONAL, "/api/ping") else self._patience
        until = time.monotonic() + patience
        while True:
            try:
                answer = self._fetcher.fetch(self._address + url_suffix, body, self._connect_timeout)
            except (OSError, http.client.HTTPException) as error:
                status, why = _refusal(error)
                if status and url_suffix not in _OPTIONAL:
                    cure = f"; {self._cure}" if status == http.HTTPStatus.UNAUTHORIZED else ""
                    # The error has the URL with the token.
                    raise RunStopped(f"luigi: luigid at {self._shown} refuses this run: {why}{cure}") from None
                if not patience:
                    raise luigi.rpc.RPCError(f"no luigid answers at {self._shown}: {why or error}", error) from None
                if time.monotonic() > until:
                    raise LuigidGone(
                        f"luigi: no luigid answered at {self._shown} for {patience:g} s; what is finished stays;"
                        " start it again (luigid) and run the same command to go on"
                    ) from error
                if self._is_answering:
                    logger.warning("no luigid answers at %s; waiting for it (%s)", self._shown, error)
                self._is_answering = False
                time.sleep(_POLL_SECONDS)
            else:
                if not self._is_answering:
                    logger.info("luigid answers again")
                self._is_answering = True
                return answer


def _with_token(url: str) -> tuple[str, str, str]:
    """Return a URL for people, the same with the token, and what to do where luigid does not know that.

    The token is the password in the URL, else this user's own for that port.
    """
    parts = urlsplit(url.rstrip("/"))
    host = parts.netloc.rpartition("@")[2]
    shown = parts._replace(netloc=host).geturl()
    if parts.scheme not in ("http", "https"):
        # Nobody else can open its socket.
        return shown, shown, ""
    port = host.rpartition(":")[2]
    example = f"--scheduler-url {parts.scheme}://luigi:TOKEN@{host}"
    try:
        token = parts.password or read_token(port)
    except OSError as error:
        raise RunStopped(f"luigi: the token of luigid is not used: {error}; or give it: {example}") from error
    cure = f"copy {token_path(port)} from the user and machine of that luigid, or give its token: {example}"
    return shown, parts._replace(netloc=f"luigi:{token}@{host}" if token else host).geturl(), cure


def _refusal(error: Exception) -> tuple[int, str]:
    """Return status and reason where luigid has refused a call, of the exceptions of urllib or requests; or (0, "")."""
    answer: Any = getattr(error, "response", error)
    status = getattr(answer, "status_code", getattr(answer, "code", 0))
    is_refused = isinstance(status, int) and 400 <= status < 500
    return (status, str(answer.reason)) if is_refused else (0, "")


def failure_text(why: str, log: Path) -> str:
    """Return the text that luigid shows for a step that failed: why, and the end of its log."""
    if why.startswith("Traceback"):
        return why
    lines = (
        textwrap.wrap(line, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""] for line in why.splitlines()
    )
    return "\n".join([*itertools.chain(*lines), "", f"{socket.gethostname()}: {log}", tail(log)])


def _identity(results: Path) -> str:
    """Return the text that identifies a folder of results, written by the first run; "" where it can't be written."""
    path = results / _IDENTITY
    with contextlib.suppress(OSError):
        results.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), path.open("x") as file:
            file.write(secrets.token_hex(8))
        for _ in range(100):
            # Another run may be about to write it.
            if text := path.read_text(errors="replace"):
                return text
            time.sleep(0.01)
        # That run was killed, or the disk was full.
        path.write_text(secrets.token_hex(8))
        return path.read_text()
    return ""


class Task(scheduler_state.Task):
    """A task of several runs, of which some may have ended."""

    def blocks(self) -> bool:
        """Return whether neither this nor what depends on it can be made before a run adds it again."""
        is_lost = self.blocking > 0 or not self.workers
        return self.status in (FAILED, DISABLED, UNKNOWN) or (self.status == PENDING and is_lost)

    def is_left(self) -> bool:
        """Return whether it may yet be made."""
        return self.status == PENDING and not self.blocks()


class State(scheduler_state.State):
    """The state of the tasks of several runs, and how many seats each of these has."""

    resources: Mapping[str, int] = {}

    def get_state(self):
        return *super().get_state(), self.resources

    def dump(self):
        """Keep what is known for the next luigid, in a file of this user alone."""
        path, log = Path(self._state_path), logging.getLogger("luigi.scheduler")
        try:
            write_own(path, pickle.dumps(self.get_state()))
        except OSError as error:
            log.warning("what is known is lost, as %s can't be written: %s", path, error)
        else:
            log.info("Saved state in %s", path)

    def load(self):
        """Load what an earlier luigid left; without a traceback where that can't be read."""
        path, log = Path(self._state_path), logging.getLogger("luigi.scheduler")
        try:
            # To read one that somebody else wrote would be to run his code.
            state = pickle.loads(read_own(path, NOT_WRITE))
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s is not used: %s; the runs register again", path, error)
        except Exception as error:
            log.warning(
                "%s is not used: it is damaged or of another release (%s); the runs register again", path, error
            )
        else:
            self.set_state(state)

    def set_state(self, state):
        super().set_state(state)
        self.resources = state[3] if len(state) > 3 else {}

    def fail_dead_worker_task(self, task, config, assistants):
        """Return a task whose run has ended to the queue at once; Luigi takes it for failed."""
        alive = task.stakeholders | assistants
        if task.status in (RUNNING, BATCH_RUNNING) and task.worker_running and task.worker_running not in alive:
            logging.getLogger("luigi.scheduler").info("%s goes to another run: its own has ended", task.id)
            task.worker_running = None
            self.set_status(task, PENDING, config)


class Scheduler(scheduler.Scheduler):
    """The scheduler of luigid."""

    state_class, task_class = State, Task
    _state: State

    def load(self):
        super().load()
        self._resources.update(self._state.resources)
        for worker in self._state.get_active_workers():
            # There was no luigid to answer its pings.
            worker.last_active = time.time()

    def dump(self):
        self._state.resources = self._resources
        super().dump()

    def get_work(self, **arguments):
        reply = super().get_work(**arguments)
        # A run is unknown that did not call for too long; and to a luigid that lost its state, all are.
        return {**reply, "is_known": bool(self._state.get_worker(arguments["worker"]).info)}

    def ping(self, **arguments):
        reply = super().ping(**arguments)
        if arguments.get("is_leaving"):
            self._state.get_worker(arguments["worker"]).last_active = 0
            self.prune()
        return reply


def main(argv: Sequence[str] | None = None) -> None:
    """Serve as the `luigid` command."""
    import luigi.cmdline

    from neuroluigi.runner import luigid_gate

    use_plain_streams()
    argv = list(sys.argv[1:] if argv is None else argv)
    with exit_on_error():
        set_defaults()
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--port", default="8082")
    place.add_argument("--address", default="127.0.0.1")
    place.add_argument("--unix-socket")
    given, _ = place.parse_known_args(argv)
    try:
        # Nobody else can open its socket.
        token = "" if given.unix_socket else make_token(given.port)
    except OSError as error:
        sys.exit(f"luigid: there is no token of your own: {error}; XDG_STATE_HOME names another folder for it")
    named = luigi.configuration.get_config().get("scheduler", "hosts", "")
    hosts = {*luigid_gate.LOCAL_HOSTS, *f"{given.address},{named}".lower().replace(",", " ").split()}
    access = luigid_gate.Access(hosts, token)
    if token:
        shown = given.address if given.address not in (*luigid_gate.LOCAL_HOSTS, "0.0.0.0", "::", "") else "localhost"
        print(f"luigid: open http://{shown}:{given.port}/#token={token}", flush=True)
    try:
        with patches.applied(
            patches.luigid_scheduler(functools.partial(Scheduler, prune_on_get_work=True)),
            patches.luigid_server(lambda server: luigid_gate.Gate(server, access)),
            patches.luigid_ends_between_calls(),
            patches.pages_from_luigid_alone(),
            patches.no_log_line_per_call(),
        ):
            luigi.cmdline.luigid(argv if given.unix_socket else [*argv, "--address", given.address])
    except (OSError, ValueError) as error:
        sys.exit(f"luigid: {error}; another one may be running there, see --port")
