"""A model of a disk that loses what was not flushed: it records what a process does to files, and replays losses.

What is on the disk after a power cut is what was flushed last, and any part of what came later: each name that was
given, moved or taken away may be as before; each file whose bytes were not flushed may be empty, short, zeros or old,
with the size and time that say otherwise.
"""

import contextlib
import dataclasses
import itertools
import os
import pickle
import shutil
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from neuroluigi.provenance import disks

# What a file that was not flushed may be.
FAULTS = ("empty", "short", "zeros", "old")

# What is there: files by path with bytes and time, None for folders.
Tree = Mapping[str, tuple[bytes, int] | None]


@dataclasses.dataclass
class Node:
    """A file, or a folder (`names`), as it was while recorded: `versions` are (event, bytes, mtime_ns)."""

    number: int
    is_folder: bool
    versions: list[tuple[int, bytes, int]] = dataclasses.field(default_factory=list)
    names: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Event:
    """What happened: "name", "move", "take" (of a name), "sync" (of a file or folder), "flush" (of all)."""

    what: str
    node: int = 0
    folder: int = 0
    name: str = ""
    # Of a move, from where.
    old_folder: int = 0
    old_name: str = ""


class Recorder:
    """Records what this process does to the files below a folder; what is there already is on the disk.

    After `killed_after` events it dies as by SIGKILL, and leaves the recording in the file `kept`, to be gone on with.
    """

    def __init__(self, top: Path, killed_after: int = -1, kept: Path | None = None):
        self.top, self.killed_after, self.kept = top, killed_after, kept
        self.nodes: list[Node] = []
        self.events: list[Event] = []
        # How many events there were after each action.
        self.marks: list[int] = []
        self._waiting: list[tuple] = []
        self._is_busy = self.is_running = False
        self._read(top)
        self.is_running = True
        # As the tree is before anything happens.
        self.before = {one.number: dict(one.names) for one in self.nodes if one.is_folder}

    def _new(self, path: Path) -> int:
        node = Node(len(self.nodes), path.is_dir())
        self.nodes.append(node)
        self._look(node, path)
        return node.number

    def _read(self, path: Path) -> int:
        number = self._new(path)
        if path.is_dir():
            for one in sorted(path.iterdir()):
                self.nodes[number].names[one.name] = self._read(one)
        return number

    def _look(self, node: Node, path: Path) -> None:
        if not node.is_folder:
            now = path.stat()
            content = path.read_bytes()
            if not node.versions or node.versions[-1][1:] != (content, now.st_mtime_ns):
                # What was there from the beginning is on the disk.
                moment = len(self.events) if self.is_running else -1
                node.versions.append((moment, content, now.st_mtime_ns))

    def _look_at_all(self, folder: int = 0, path: Path | None = None) -> None:
        path = path or self.top
        for name, number in self.nodes[folder].names.items():
            node = self.nodes[number]
            if node.is_folder:
                self._look_at_all(number, path / name)
            else:
                with contextlib.suppress(FileNotFoundError):
                    self._look(node, path / name)

    def _find(self, path: str) -> tuple[int, str] | None:
        """Return the folder and the name of a path, None for one that is elsewhere."""
        path = os.path.abspath(path)
        if not path.startswith(f"{self.top}{os.sep}"):
            return None
        *above, name = path[len(str(self.top)) + 1 :].split(os.sep)
        folder = 0
        for one in above:
            if one not in self.nodes[folder].names:
                return None
            folder = self.nodes[folder].names[one]
        return folder, name

    def settle(self) -> None:
        """Record what the last calls did."""
        waiting, self._waiting = self._waiting, []
        for what, *paths in waiting:
            places = [self._find(path) for path in paths]
            if what == "sync":
                found = 0 if paths[0] == str(self.top) else self._number(places[0])
                if found is not None:
                    self._look_at_all()
                    self.events.append(Event("sync", found))
            elif what == "flush":
                self._look_at_all()
                self.events.append(Event("flush"))
            else:
                self._settle_names(what, paths, places)
        self._look_at_all()

    def _number(self, place: tuple[int, str] | None) -> int | None:
        return self.nodes[place[0]].names.get(place[1]) if place else None

    def _settle_names(self, what: str, paths: list[str], places: list) -> None:
        folder, name = places[-1] or (None, "")
        names = self.nodes[folder].names if folder is not None else {}
        is_there = os.path.lexists(paths[-1])
        if what == "new" and folder is not None and is_there and name not in names:
            path = Path(paths[-1])
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                number = self._new(path)
                self.events.append(Event("name", number, folder, name))
                names[name] = number
        elif what == "take" and name in names and not is_there:
            self.events.append(Event("take", names.pop(name), folder, name))
        elif what == "move" and places[0] and not os.path.lexists(paths[0]):
            old = self.nodes[places[0][0]].names
            if (number := old.pop(places[0][1], None)) is not None:
                self.events.append(Event("move", number, folder, name, *places[0]))
                names[name] = number

    def mark(self) -> None:
        """Note that an action has ended here."""
        self._is_busy = True
        self.settle()
        self._is_busy = False
        self.marks.append(len(self.events))

    def on_call(self, what: str, *paths: str) -> None:
        """Record a call that is about to be made."""
        if not self._is_busy and any(path.startswith(str(self.top)) for path in paths):
            self._is_busy = True
            try:
                self.settle()
                if self.kept and len(self.events) >= self.killed_after >= 0:
                    self.killed_after = -1
                    self.kept.write_bytes(pickle.dumps(self))
                    os._exit(9)
                self._waiting.append((what, *paths))
                if what in ("sync", "flush"):
                    # It has returned.
                    self.settle()
            finally:
                self._is_busy = False


_recorder: Recorder | None = None
_is_hooked = False


def _full(path: object, descriptor: object = -1) -> str:
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    above = f"/proc/self/fd/{descriptor}" if isinstance(descriptor, int) and descriptor >= 0 else ""
    return os.path.join(os.readlink(above) if above else os.getcwd(), text) if text else ""


def _on_audit(event: str, arguments: tuple) -> None:
    recorder = _recorder
    if recorder is None or not event.startswith(("open", "os.")):
        return
    if event == "open":
        path, mode, flags = arguments
        is_written = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if is_written or (isinstance(mode, str) and set(mode) & set("wax+")):
            recorder.on_call("new", _full(path))
    elif event == "os.mkdir":
        recorder.on_call("new", _full(arguments[0], arguments[2]))
    elif event in ("os.remove", "os.rmdir"):
        recorder.on_call("take", _full(*arguments[:2]))
    elif event == "os.rename":
        source, target, source_folder, target_folder = arguments
        recorder.on_call("move", _full(source, source_folder), _full(target, target_folder))


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Record what is done to the files below a folder."""
    global _recorder, _is_hooked
    if not _is_hooked:
        sys.addaudithook(_on_audit)
        _is_hooked = True
    fsync, flush = os.fsync, disks.Disk.flush
    recorder._is_busy = False

    def noted_fsync(descriptor):
        fsync(descriptor)
        recorder.on_call("sync", os.readlink(f"/proc/self/fd/{descriptor}"))

    def noted_flush(self):
        flush(self)
        recorder.on_call("flush", str(recorder.top))

    os.fsync, disks.Disk.flush = noted_fsync, noted_flush
    _recorder = recorder
    try:
        yield recorder
    finally:
        _recorder = None
        os.fsync, disks.Disk.flush = fsync, flush
        recorder.settle()


class Crash:
    """The machine stops after so many events of a recording: what may be lost then, and what is there afterwards."""

    def __init__(self, recorder: Recorder, at: int):
        self._recorder, self.at = recorder, at
        events = recorder.events[:at]
        synced: dict[int, int] = {}
        for number, one in enumerate(events):
            if one.what == "flush":
                synced = dict.fromkeys(range(len(recorder.nodes)), number)
            elif one.what == "sync":
                synced[one.node] = number
        self._synced = synced
        self.is_before_flush = any(one.what in ("sync", "flush") for one in recorder.events[at : at + 1])
        # The events that may be undone, and the files that may be other than they were.
        self.names = [
            number
            for number, one in enumerate(events)
            if one.what in ("name", "move", "take")
            and number > max(synced.get(one.folder, -1), synced.get(one.old_folder, -1) if one.what == "move" else -1)
        ]
        self.files = [one.number for one in recorder.nodes if not one.is_folder and self._is_pending(one)]

    def _is_pending(self, node: Node) -> bool:
        return any(max(self._synced.get(node.number, -1), -1) < number <= self.at for number, *_ in node.versions)

    def faults(self) -> list[tuple[str, int]]:
        """Return all that can go wrong alone: ("lost", event) and (kind, file)."""
        undone = [("lost", number) for number in self.names]
        return [*undone, *itertools.product(FAULTS, self.files)]

    def named(self, fault: tuple[str, int]) -> str:
        """Return what a fault is, for people."""
        if fault[0] == "lost":
            one = self._recorder.events[fault[1]]
            return f"{one.what} {one.old_name} {one.name} lost"
        names = [one.name for one in self._recorder.events if one.node == fault[1] and one.name]
        return f"{names[-1] if names else fault[1]} {fault[0]}"

    def tree(self, faults: Collection[tuple[str, int]]) -> Tree:
        """Return what is there afterwards, if all of this goes wrong."""
        recorder = self._recorder
        lost = {event for kind, event in faults if kind == "lost"}
        kinds = {file: kind for kind, file in faults if kind != "lost"}
        names = {number: dict(one) for number, one in recorder.before.items()}
        names.update({one.number: {} for one in recorder.nodes if one.is_folder and one.number not in names})
        for number, one in enumerate(recorder.events[: self.at]):
            if number in lost or one.what in ("sync", "flush"):
                continue
            if one.what == "take":
                # A folder with something in it is not removed.
                if names[one.folder].get(one.name) == one.node and not names.get(one.node):
                    del names[one.folder][one.name]
            else:
                if one.what == "move" and names[one.old_folder].get(one.old_name) == one.node:
                    del names[one.old_folder][one.old_name]
                names[one.folder][one.name] = one.node
        found: dict[str, tuple[bytes, int] | None] = {}

        def walk(folder: int, above: str) -> None:
            for name, number in names[folder].items():
                path = f"{above}{name}"
                if recorder.nodes[number].is_folder:
                    found[path] = None
                    walk(number, f"{path}/")
                else:
                    found[path] = self._content(recorder.nodes[number], kinds.get(number, ""))

        walk(0, "")
        return found

    def _content(self, node: Node, fault: str) -> tuple[bytes, int]:
        known = [(content, at) for number, content, at in node.versions if number <= self.at] or [(b"", 0)]
        content, at = known[-1]
        if fault == "old":
            safe = self._synced.get(node.number, -1)
            olds = [(content, at) for number, content, at in node.versions if number <= safe]
            return olds[-1] if olds else (b"", at)
        changed = {"empty": b"", "short": content[: len(content) // 2], "zeros": bytes(len(content))}
        return changed.get(fault, content), at


def write_tree(top: Path, tree: Tree) -> None:
    """Make a folder what a tree says."""
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    for path, file in tree.items():
        if file is None:
            (top / path).mkdir()
        else:
            (top / path).write_bytes(file[0])
            os.utime(top / path, ns=(file[1], file[1]))
