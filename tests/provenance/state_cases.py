"""Cases of the state of a result: what differs from one that is done, and the status that follows."""

from neuroluigi.provenance.expected import Input
from tests.provenance.example import (
    SOURCES,
    THRESHOLD,
    broken_record,
    code,
    dropped,
    expect,
    expect_parameter,
    failed,
    fingerprint,
    inputs,
    interrupted,
    leave,
    make,
    maybe,
    no_first,
    no_record,
    pending,
    record,
    remove,
    renamed_input,
    sha256,
    together,
    touch,
    write,
)

threshold = expect_parameter(threshold=0.5)
longer_npy = write("npy", b"123456789")


def changed(name: str, old: bytes, new: bytes) -> str:
    return f"inputs: {name} changed (sha256 {sha256(old)[:12]}..., now {sha256(new)[:12]}...)"


# In zones of their own: a text is no time. The note of a failure is of 12:00 UTC.
EARLIER, MADE_AT = "2024-05-01T12:59:00.000+02:00", "2024-05-01T11:30:00.000+00:00"
OTHER_THRESHOLD = "parameters: threshold 0.75, now 0.5"
NO_NPY = ": edges.npy is not there"
OTHER_NPY = ": edges.npy is not the file that its run record describes"
NO_JSON = ": Expecting value: line 1 column 2 (char 1)"
INTERRUPTED = ": a commit was interrupted; the next run finishes it"
NO_FIRST = "inputs: a/rec_0.bin is not there any more"

CASES = [
    # What is done, and what of it is no contradiction
    leave("as recorded", lambda result: None, "done", made_by="octave 8.3.1", is_complete=True, failure=""),
    leave("touched outputs", touch("json", "npy"), "done"),
    leave("touched inputs", touch("first", "second", "stats"), "done"),
    leave("failed before, done since", failed(), "done", failure=""),
    leave("failure that can't be read", lambda r: r.sibling(".failed.json", '{"error": 5}'), "done", failure=""),
    # Input missing
    leave("recording missing", no_first, "input missing", NO_FIRST, is_there=True),
    leave(
        "recording and a file of the result missing",
        together(no_first, remove("npy")),
        "input missing",
        NO_FIRST,
        NO_NPY,
        is_there=False,
        is_complete=False,
    ),
    leave(
        "recording missing and the result modified",
        together(no_first, write("json", b'{"count": 4444}')),
        "input missing",
        NO_FIRST,
        sha256=[sha256(b'{"count": 4444}'), sha256(b"12345678")],
    ),
    leave("recording missing, dropped", together(dropped, no_first), "input missing", NO_FIRST),
    make(
        "missing one allowed",
        together(no_first, expect(allow_missing=True)),
        "stale",
        "inputs: a/rec_0.bin is not used now",
    ),
    maybe("missing one that is made", together(remove("first"), pending(0)), "done", waits_for=("rec_0.bin",)),
    leave("recording missing, without a record", together(no_first, no_record), "untracked"),
    leave("recording missing, the parameter changed", together(no_first, threshold), "input missing", NO_FIRST),
    # Missing
    make("one file missing", remove("npy"), "missing", NO_NPY),
    make(
        "all files missing",
        remove("json", "npy"),
        "missing",
        ": edges.json, edges.npy is not there",
        is_there=False,
        checksums={},
    ),
    make(
        "folder in place of a file",
        together(remove("npy"), lambda result: result.npy.mkdir()),
        "damaged",
        ": edges.npy is a folder, and its step makes a file of that name",
    ),
    make("missing without a record", together(no_record, remove("npy")), "missing", NO_NPY),
    *(
        make(f"missing after a failure: {name}", together(remove("npy"), *some), "missing", NO_NPY, failure=failure)
        for name, failure, *some in (
            ("as it would be made today", "out of memory", failed()),
            ("a note of the error alone", "out of memory", failed("error")),
            ("a note of an earlier release", "out of memory", failed("schema", "error", "parameters")),
            ("no longer with that parameter", "", failed(parameters={"threshold": 0.5, "level": None})),
            ("before the result was made", "", failed(ended=EARLIER), record(ended=MADE_AT)),
            ("after the result was made", "out of memory", failed(), record(ended=MADE_AT)),
            ("of another input", "", failed(), write("first", b"other")),
            ("of one input less", "", failed(), inputs(0, 1)),
            ("by other code", "", failed(sources=[])),
            ("by another tool", "", failed(), expect(tool={"engine": "numpy"})),
            ("with another fingerprint", "", failed(fingerprint={})),
            ("for a recording that was wrong", "", failed(problem="out of memory")),
            (
                "for a recording that is wrong",
                "out of memory",
                failed(problem="out of memory"),
                expect(problem="out of"),
            ),
            ("before a recording was wrong", "", failed(), expect(problem="it is empty")),
        )
    ),
    make("commit interrupted", interrupted, "missing", INTERRUPTED, is_there=False),
    make("commit interrupted, a recording missing", together(interrupted, no_first), "missing", INTERRUPTED),
    # Damaged
    make(
        "cut short",
        write("json", b'{"count'),
        "damaged",
        ": Unterminated string starting at: line 1 column 2 (char 1)",
        is_complete=False,
    ),
    make("of another shape", write("json", b"3            "), "damaged", ": edges.json is no object"),
    make(
        "check that fails",
        write("json", b'{"n": 33333}'),
        "damaged",
        ": edges.json can't be checked: KeyError: 'count'",
    ),
    make(
        "shorter than recorded", write("npy", b"1234567"), "damaged", ": edges.npy has 7 bytes, its run record says 8"
    ),
    make("damaged without a record", together(no_record, write("json", b"[")), "damaged", NO_JSON),
    make(
        "one file modified, another damaged",
        together(write("json", b'{"count": 4444}'), write("npy", b"")),
        "damaged",
        ": edges.npy has 0 bytes, its run record says 8",
    ),
    # Modified
    leave(
        "longer than recorded",
        longer_npy,
        "modified",
        OTHER_NPY,
        sha256=[sha256(b'{"count": 3}'), sha256(b"123456789")],
        is_complete=True,
    ),
    leave(
        "shortened by hand, and whole by its format",
        write("json", b'{"count":2}'),
        "modified",
        ": edges.json is not the file that its run record describes",
    ),
    leave("as long as recorded", together(write("npy", b"87654321"), touch("npy")), "modified", OTHER_NPY),
    leave("modified, the parameter changed", together(longer_npy, threshold), "modified", OTHER_NPY),
    leave("modified, an input may be made again", together(longer_npy, pending(2)), "modified", OTHER_NPY),
    # Stale for a parameter or for what the step adds to its record
    make("parameter changed", threshold, "stale", OTHER_THRESHOLD, is_complete=False, checksums={}),
    make("parameter set", expect_parameter(level=1e-7), "stale", "parameters: level not set, now 1e-07"),
    leave("parameter added, at its default", record(parameters={"threshold": 0.75}), "done"),
    make(
        "parameter added, another value",
        together(record(parameters={"level": None}), threshold),
        "stale",
        OTHER_THRESHOLD,
    ),
    leave("parameter that is gone", expect(parameters={"threshold": 0.75}), "done"),
    leave(
        "no number, as schema 1 recorded it",
        together(record(parameters={**THRESHOLD, "level": float("nan")}), expect_parameter(level="NaN")),
        "done",
    ),
    make("long value", expect_parameter(level="x" * 61), "stale", f"parameters: level not set, now {'x' * 57}..."),
    make(
        "fingerprint changed",
        fingerprint(sampling_rate_hz=100.0),
        "stale",
        "parameters: layout.sampling_rate_hz not set, now 100.0",
    ),
    make(
        "fingerprint: one value of a list",
        fingerprint(segments=[0, 4]),
        "stale",
        "parameters: layout.segments[1] 3, now 4",
    ),
    make(
        "fingerprint: a list of another length",
        fingerprint(segments=[0]),
        "stale",
        "parameters: layout.segments [0, 3], now [0]",
    ),
    make(
        "fingerprint: the first three of many",
        expect(fingerprint={name: name for name in "abcd"}),
        "stale",
        'parameters: layout {"dtype": "uint8", "segments": [0, 3]}, now not set',
        "parameters: a not set, now a",
        "parameters: b not set, now b",
    ),
    leave("fingerprint not known yet", expect(fingerprint=None), "done"),
    make(
        "fingerprint changed with the inputs",
        together(write("stats", b"{1}"), fingerprint(segments=[0]), inputs(0, 1)),
        "stale",
        "inputs: g/stats.json is not used now",
    ),
    make(
        "fingerprint changed, input to be made",
        together(fingerprint(dtype="int16"), pending(0)),
        "stale",
        "parameters: layout.dtype uint8, now int16",
    ),
    # Stale for an input
    make("recording replaced", write("second", b"another"), "stale", changed("rec_1.bin", b"second", b"another")),
    make(
        "input of another step changed",
        lambda result: result.expect_input(2, sha256=sha256(b"[]")),
        "stale",
        changed("stats.json", b"{}", b"[]"),
    ),
    leave("recording renamed", renamed_input(is_known=False), "done"),
    leave("recording renamed, all checksums known", renamed_input(is_known=True), "done"),
    make(
        "recording added",
        lambda result: result.expect(inputs=(*result.inputs, Input(str(result.json), None))),
        "stale",
        "inputs: edges.json is new",
    ),
    make("recording left out", inputs(0, 2), "stale", "inputs: a/rec_1.bin is not used now"),
    make("inputs in another order", inputs(1, 0, 2), "stale", "inputs: the order of the inputs changed"),
    make(
        "input that can't be read",
        together(remove("stats"), lambda result: result.expect_input(2, sha256=None)),
        "stale",
        "inputs: stats.json can't be read",
    ),
    make(
        "problem of the recordings",
        together(expect(problem="table.csv, row 3: no"), inputs(0)),
        "stale",
        "inputs: table.csv, row 3: no",
    ),
    # Maybe
    maybe(
        "input that may be made again",
        pending(2),
        "done",
        waits_for=("stats.json",),
        sha256=[None, None],
        is_complete=False,
        is_simply_done=False,
    ),
    maybe(
        "two inputs that may be made again",
        together(pending(0), pending(2)),
        "done",
        waits_for=("rec_0.bin", "stats.json"),
    ),
    make(
        "input to be made, the parameter changed",
        together(pending(2), threshold),
        "stale",
        OTHER_THRESHOLD,
        waits_for=(),
    ),
    make(
        "input to be made, another one changed",
        together(pending(2), write("first", b"other")),
        "stale",
        changed("rec_0.bin", b"first", b"other"),
    ),
    leave("input to be made, without a record", together(pending(2), no_record), "untracked"),
    maybe(
        "input to be made, the code changed",
        together(pending(2), code(SOURCES[0])),
        "code changed",
        f"code: tasks.py:Edges is not used now (sha256 {'2' * 12}..., now none)",
    ),
    # Dropped
    leave(
        "dropped",
        dropped,
        "done",
        is_there=False,
        is_dropped=True,
        is_complete=False,
        sha256=[sha256(b'{"count": 3}'), sha256(b"12345678")],
    ),
    leave("dropped, but there", record(dropped={"at": "2024-05-01"}), "done", is_there=True, is_dropped=False),
    make(
        "dropped, an input may be made again",
        together(dropped, pending(2)),
        "done",
        ": it is dropped, and stats.json may be made again",
    ),
    make("dropped, the parameter changed", together(dropped, threshold), "stale", OTHER_THRESHOLD, is_dropped=True),
    make(
        "dropped in part, what is left damaged",
        together(record(dropped={"at": "2024-05-01"}), remove("npy"), write("json", b"[")),
        "damaged",
        NO_JSON,
    ),
    # Code changed
    leave(
        "code changed",
        code(SOURCES[0], {**SOURCES[1], "sha256": "3" * 64}),
        "code changed",
        f"code: tasks.py:Edges changed (sha256 {'2' * 12}..., now {'3' * 12}...)",
        is_complete=True,
        is_simply_done=False,
    ),
    leave(
        "code added",
        code({"path": "a.py", "sha256": "4" * 64}, *SOURCES),
        "code changed",
        f"code: a.py is new (sha256 none, now {'4' * 12}...)",
    ),
    make(
        "code changed, to be made again",
        together(code(SOURCES[1]), expect(rerun_on=frozenset({"code"}))),
        "stale",
        f"code: matlab/count.m is not used now (sha256 {'1' * 12}..., now none)",
    ),
    make("code and parameter changed", together(code(SOURCES[0]), threshold), "stale", OTHER_THRESHOLD),
    leave(
        "parameter changed that nothing is made again for",
        together(threshold, expect(rerun_on=frozenset())),
        "stale",
        OTHER_THRESHOLD,
        is_complete=True,
        is_simply_done=False,
    ),
    leave("tool as asked for", expect(tool={"engine": "octave", "version": "8.3"}), "done"),
    leave(
        "version asked for",
        expect(tool={"engine": "octave", "version": "8.30"}),
        "code changed",
        "tools: version 8.3.1, now 8.30",
    ),
    leave(
        "engine asked for, of a step that called none",
        together(record(tool={"engine": "python"}), expect(tool={"engine": "matlab"})),
        "done",
    ),
    leave(
        "engine asked for, and its version",
        expect(tool={"engine": "matlab", "version": "24"}),
        "code changed",
        "tools: engine octave, now matlab",
    ),
    make(
        "engine asked for, to be made again",
        together(expect(tool={"engine": "matlab"}), expect(rerun_on=frozenset({"tools"}))),
        "stale",
        "tools: engine octave, now matlab",
    ),
    # Untracked
    leave("without a record", no_record, "untracked", made_by="", is_complete=True),
    leave("record cut short", broken_record('{"schema": 1, "inputs": '), "untracked"),
    leave("record of another shape", broken_record('{"schema": 1, "inputs": 5}'), "untracked"),
    leave("record of a later version", record(schema=99), "untracked"),
    leave("without a record, the parameter changed", together(no_record, expect_parameter(level=1)), "untracked"),
]
