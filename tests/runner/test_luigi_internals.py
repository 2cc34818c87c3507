"""What of Luigi this package uses that Luigi does not promise: it is all listed here, and it is all there.

The same list holds for the oldest and the newest Luigi of requirements.txt.
"""

import ast
import functools
import importlib
import inspect
from pathlib import Path

import luigi
import luigi.cmdline_parser
import luigi.execution_summary
import luigi.interface
import luigi.retcodes
import luigi.rpc
import luigi.scheduler
import luigi.server
import luigi.worker
import pytest

import neuroluigi

PACKAGE = Path(neuroluigi.__file__).parent

# The private names of Luigi that each module uses or overrides.
PRIVATE = {
    "runner/luigid.py": "_connect_timeout _fetch _fetcher _request _resources _rpc_retry_attempts _rpc_retry_wait"
    " _state _state_path",
    "runner/command_line.py": "_build_parser _reg",
    "runner/logging_of_run.py": "_configured",
    "runner/opened.py": "_instance _reg",
    "runner/options.py": "_get_reg",
    "runner/patches.py": "_WorkerSchedulerFactory _build_parser _instance _run",
    "runner/progress.py": "_handle_run_exception",
    "runner/scheduler.py": "_WorkerSchedulerFactory _config _get_retry_policy _has_resources _make_task"
    " _metrics_collector _prune_tasks _reset_orphaned_batch_running_tasks _schedulable _state _update_priority"
    " _used_resources",
    "runner/scheduler_state.py": "_active_workers _remove_workers_from_tasks _status_tasks _task_batchers _tasks",
    "runner/secrets_of_tasks.py": "_announce_scheduling_failure _get_str _log_complete_error _log_dependency_error"
    " _warn_on_wrong_param_type _warn_on_wrong_param_types",
    "runner/worker.py": "_add_task _config _create_task_process _first_task _handle_next_task _id _keep_alive"
    " _run_task _running_tasks _scheduled_tasks _scheduler _stop_requesting_work _summary_dict _task_result_queue",
    # In a process that was spawned, the command line of the run.
    "steps/spawn.py": "_instance",
}

SIGNATURES = [
    (luigi.worker.Worker, "__exit__", "(self, type, value, traceback)"),
    (luigi.worker.Worker, "_announce_scheduling_failure", "(self, task, expl)"),
    (luigi.worker.Worker, "_log_complete_error", "(self, task, tb)"),
    (luigi.worker.Worker, "_log_dependency_error", "(self, task, tb)"),
    (luigi.worker.Worker, "_add_task", "(self, *args, **kwargs)"),
    (luigi.worker.Worker, "_create_task_process", "(self, task)"),
    (luigi.worker.Worker, "_handle_next_task", "(self)"),
    (luigi.worker.TaskProcess, "_handle_run_exception", "(self, ex)"),
    (luigi.worker.Worker, "_keep_alive", "(self, get_work_response)"),
    (luigi.worker.Worker, "_run_task", "(self, task_id)"),
    (luigi.worker.Worker, "add", "(self, task, multiprocess=False, processes=0)"),
    (luigi.worker.Worker, "run", "(self)"),
    (luigi.scheduler.Scheduler, "_has_resources", "(self, needed_resources, used_resources)"),
    (luigi.scheduler.Scheduler, "_prune_tasks", "(self)"),
    (luigi.scheduler.Scheduler, "_reset_orphaned_batch_running_tasks", "(self, worker_id)"),
    (luigi.scheduler.Scheduler, "_schedulable", "(self, task)"),
    (luigi.scheduler.Scheduler, "_update_priority", "(self, task, prio, worker)"),
    (luigi.scheduler.Scheduler, "_used_resources", "(self)"),
    (luigi.scheduler.Scheduler, "count_pending", "(self, worker)"),
    (luigi.scheduler.Scheduler, "dump", "(self)"),
    (luigi.scheduler.Scheduler, "get_work", None),
    (luigi.scheduler.Scheduler, "load", "(self)"),
    (luigi.scheduler.Scheduler, "ping", "(self, **kwargs)"),
    (luigi.scheduler.scheduler, "_get_retry_policy", "(self)"),
    (luigi.scheduler.SimpleTaskState, "_remove_workers_from_tasks", "(self, workers, remove_stakeholders=True)"),
    (luigi.scheduler.SimpleTaskState, "fail_dead_worker_task", "(self, task, config, assistants)"),
    (luigi.scheduler.SimpleTaskState, "get_active_tasks_by_status", "(self, *statuses)"),
    (luigi.scheduler.SimpleTaskState, "get_batch_running_tasks", "(self, batch_id)"),
    (luigi.scheduler.SimpleTaskState, "get_state", "(self)"),
    (luigi.scheduler.SimpleTaskState, "get_task", "(self, task_id, default=None, setdefault=None)"),
    (luigi.scheduler.SimpleTaskState, "get_worker", "(self, worker_id)"),
    (luigi.scheduler.SimpleTaskState, "inactivate_tasks", "(self, delete_tasks)"),
    (luigi.scheduler.SimpleTaskState, "load", "(self)"),
    (luigi.scheduler.SimpleTaskState, "may_prune", "(self, task)"),
    (luigi.scheduler.SimpleTaskState, "set_batch_running", "(self, task, batch_id, worker_id)"),
    (luigi.scheduler.SimpleTaskState, "set_state", "(self, state)"),
    (luigi.scheduler.SimpleTaskState, "set_status", "(self, task, new_status, config=None)"),
    (luigi.scheduler.SimpleTaskState, "update_status", "(self, task, config)"),
    (luigi.scheduler.Worker, "get_tasks", "(self, state, *statuses)"),
    (luigi.scheduler.Worker, "is_trivial_worker", "(self, state)"),
    (luigi.rpc.RemoteScheduler, "_fetch", "(self, url_suffix, body)"),
    (luigi.rpc.RemoteScheduler, "_request", "(self, url, data, attempts=3, allow_null=True)"),
    (luigi.interface._WorkerSchedulerFactory, "create_local_scheduler", "(self)"),
    (luigi.interface._WorkerSchedulerFactory, "create_remote_scheduler", "(self, url)"),
    (
        luigi.interface._WorkerSchedulerFactory,
        "create_worker",
        "(self, scheduler, worker_processes, assistant=False)",
    ),
    (luigi.cmdline_parser.CmdlineParser, "get_task_obj", "(self)"),
    (luigi.cmdline_parser.CmdlineParser, "_build_parser", "(root_task=None, help_all=False)"),
    # What it takes is passed on.
    (luigi.task_register.Register, "_get_reg", "()"),
    (luigi.interface, "_run", None),
    (luigi.Task, "get_params", None),
    (luigi.Task, "to_str_params", None),
    (luigi.Task, "_warn_on_wrong_param_types", None),
    (luigi.Parameter, "_warn_on_wrong_param_type", "(self, param_name, param_value)"),
    (luigi.execution_summary, "_get_str", "(task_dict, extra_indent)"),
    (luigi.notifications, "format_task_error", "(headline, task, command, formatted_exception=None)"),
    (luigi.execution_summary, "_summary_dict", "(worker)"),
    (luigi.retcodes, "run_with_retcodes", "(argv)"),
]


@pytest.mark.parametrize(("owner", "name", "signature"), SIGNATURES)
def test_what_is_called_or_overridden_has_the_same_signature(owner, name, signature):
    function = getattr(owner, name)
    assert signature is None or str(inspect.signature(function)) == signature


def test_get_work_takes_what_a_worker_gives():
    parameters = inspect.signature(luigi.scheduler.Scheduler.get_work).parameters
    assert {"worker", "current_tasks", "assistant"} <= parameters.keys()


def test_objects_have_the_private_attributes():
    scheduler = luigi.scheduler.Scheduler()
    worker = luigi.worker.Worker(scheduler=scheduler)
    client = luigi.rpc.RemoteScheduler("http://localhost:1/")
    expected = {
        scheduler: "_config _make_task _resources _state",
        scheduler._state: "_active_workers _metrics_collector _state_path _status_tasks _task_batchers _tasks",
        worker: "_config _first_task _id _running_tasks _scheduled_tasks _scheduler _stop_requesting_work"
        " _task_result_queue",
        client: "_connect_timeout _fetcher _rpc_retry_attempts _rpc_retry_wait",
    }
    assert {one: [name for name in names.split() if not hasattr(one, name)] for one, names in expected.items()} == {
        one: [] for one in expected
    }
    assert luigi.cmdline_parser.CmdlineParser._instance is None
    assert luigi.Config in luigi.task_register.Register._reg
    assert luigi.server.Scheduler is luigi.scheduler.Scheduler
    # Of the queue for results the worker calls these alone; result_pipes.py stands in for it.
    source = inspect.getsource(luigi.worker)
    for line in [line for line in source.splitlines() if "_task_result_queue" in line]:
        is_use = any(text in line for text in (".put(", ".get(", ".close(", "= multiprocessing.Queue()"))
        assert is_use or "_task_result_queue," in line, line


# The scan


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def defined_by(tree: ast.AST) -> set[str]:
    """Return the private names that a class or a file defines, and the private attributes that it sets."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            found.add(node.attr)
    for node in ast.iter_child_nodes(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {one.id for one in targets if isinstance(one, ast.Name)}
    return set(filter(is_private, found))


@functools.cache
def names_of_luigi() -> set[str]:
    folder = Path(luigi.__file__).parent
    files = [path for path in [*folder.glob("*.py"), *folder.glob("configuration/*.py")] if path.stem != "mypy"]
    return set().union(*(defined_by(ast.parse(path.read_text(encoding="utf-8"))) for path in files))


def used_by(tree: ast.AST) -> set[str]:
    """Return all names of attributes, functions, imports and texts."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, (ast.FunctionDef, ast.alias)):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def luigis_of(cls: type) -> set[str]:
    """Return the private names that a class inherits from Luigi."""
    bases = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "luigi"]
    trees = (ast.parse(inspect.cleandoc(f"\n{inspect.getsource(base)}")) for base in bases)
    return set().union(*(defined_by(tree.body[0]) for tree in trees))


def private_names(text: str, module=None) -> set[str]:
    """Return the private names of Luigi in the source of a module: all that neither it nor its classes define."""
    tree, known = ast.parse(text), names_of_luigi()
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    rest = ast.Module([node for node in tree.body if node not in classes], [])
    found = used_by(rest) - defined_by(tree)
    for node in classes:
        inherited = luigis_of(getattr(module, node.name)) if module else set()
        own_of_module = defined_by(ast.Module([one for one in tree.body if one is not node], []))
        found |= (used_by(node) & inherited) | (used_by(node) - defined_by(node) - own_of_module)
    # Two classes of one module may be of Luigi's kinds, and use each other's.
    return found & known


def test_every_private_name_of_luigi_is_listed():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if names := private_names(path.read_text(encoding="utf-8"), module_of(name)):
            found[name] = sorted(names)
    assert found == {name: sorted(names.split()) for name, names in PRIVATE.items()}


def module_of(name: str):
    if name == "__main__.py":
        return None
    return importlib.import_module(
        ".".join(["neuroluigi", *name.removesuffix(".py").split("/")]).removesuffix(".__init__")
    )


@pytest.mark.parametrize(
    "text",
    [
        "worker._running_tasks",
        "getattr(worker, '_running_tasks')",
        "from luigi.execution_summary import _summary_dict",
        "class Mine:\n    def f(self, worker):\n        return worker._id",
        "class Mine:\n    def f(self):\n        self._mine = self._scheduler._state",
    ],
)
def test_a_name_that_is_not_listed_is_found(text):
    assert private_names(text)


def test_names_of_ones_own_are_not_luigis():
    assert not private_names("class Mine:\n    def __init__(self):\n        self._id = 1\n")
    assert not private_names("def _run():\n    pass\n\ndef f():\n    return _run()\n")
