"""Calls of real M-functions by a real Octave: what comes back, what is printed, what is left behind."""

import logging
import signal
import subprocess

import pytest

from neuroluigi.engines import session
from neuroluigi.engines.call import CallError, call_function
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.pool import close_pool
from neuroluigi.engines.session import Limits
from neuroluigi.engines.values import encode_arguments
from tests.conftest import needs_octave
from tests.engines.lab import use_temporary_folder, wait_for

pytestmark = needs_octave


def test_an_answer_tells_version_and_use(lab):
    # More than the ticks in which some systems count.
    lab.write("quick", "x = ones(1000); began = cputime(); while cputime() - began < 0.3, end")
    facts = lab.call("quick")
    assert facts["version"] == lab.engine.version()
    assert 0.1 < facts["used"]["cpu_seconds"] < 30
    assert facts["used"]["peak_memory_bytes"] > 8e6


def test_an_error_names_function_identifier_message_and_line(lab):
    lab.write("helper", "", "  error('lab:broken', 'electrode %d of %s', 3, 'shank ''A''');")
    assert lab.fails_with("helper();") == (
        "octave: failing failed: lab:broken: electrode 3 of shank 'A' (helper, line 3 of helper.m)"
    )


def test_an_error_without_an_identifier(lab):
    assert lab.fails_with("error('just so');") == "octave: failing failed: just so (failing, line 2 of failing.m)"


def test_an_error_with_characters_of_all_kinds(lab):
    lab.write("unused")
    assert lab.fails_with("error('lab:name', '%s', 'Grüße \"神\"\\ %d');") == (
        'octave: failing failed: lab:name: Grüße "神"\\ %d (failing, line 2 of failing.m)'
    )
    # Latin-1, as old files have it.
    assert "lab:name: M\ufffdnchen (failing" in lab.fails_with("error('lab:name', '%s', char([77 252 'nchen']));")
    assert "lab:name: one\ntwo (failing" in lab.fails_with("error('lab:name', 'one\\ntwo');")


def test_a_function_that_is_missing(lab):
    message = lab.fails_with("noSuchFunction(1);")
    assert "octave: failing failed: Octave:undefined-function: 'noSuchFunction' undefined" in message
    assert message.endswith("(failing, line 2 of failing.m)")
    assert "'noSuchEither'" in lab.failure("noSuchEither")


def test_an_m_file_that_can_not_be_parsed(lab):
    lab.write("broken", "x = (1;")
    message = lab.fails_with("broken();")
    assert "failing failed: parse error near line 2 of file" in message
    assert "broken.m" in message


def test_wrong_number_of_arguments(lab):
    lab.write("quick")
    assert "quick: function called with too many inputs" in lab.failure("quick", 1)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("exit(0);", "exit code 0"),
        ("exit(3);", "exit code 3"),
        ("kill(getpid(), 11);", "killed by signal 11"),
        ("kill(getpid(), 9);", "killed by signal 9: out of memory?"),
    ],
)
def test_an_engine_that_ends_without_an_answer(lab, statement, reason):
    message = lab.fails_with("disp('the last words');", "fflush(stdout);", statement)
    assert message.startswith(f"octave ended without an answer ({reason}); the last it printed:\nthe last words")


def test_an_engine_that_can_not_be_started(lab):
    lab.engine = Engine("octave", (str(lab.matlab / "nowhere"),))
    message = lab.failure("quick")
    assert message.startswith("octave ended without an answer (exit code 127: the program could not be started);")
    assert "No such file or directory" in message


def test_printed_text_decides_nothing(lab):
    lab.write("chatty", "fprintf(2, 'error: not at all\\n');", "disp(['m' char(252) 'l']);", "warning('lab:w', 'hm');")
    lab.call("chatty")
    printed = lab.log.read_bytes()
    assert b"error: not at all\n" in printed
    assert b"m\xfcl\n" in printed
    assert b"warning: hm" in printed


def test_the_log_is_added_to(lab):
    lab.write("one", "disp('one');")
    lab.log.write_text("before\n")
    lab.call("one")
    lab.call("one")
    assert lab.log.read_text() == "before\none\none\n"


def test_the_log_grows_while_the_call_runs(lab, tmp_path):
    # The function goes on only when it has been seen to print.
    lab.write("slow", "disp('first');", f"while ~exist('{tmp_path}/go', 'file'), pause(0.05); end", "disp('second');")
    caller = lab.in_another_run("slow")
    try:
        wait_for(lambda: lab.log.exists() and lab.log.read_text() == "first\n")
        assert caller.poll() is None
    finally:
        (tmp_path / "go").touch()
    assert caller.wait(timeout=60) == 0
    assert lab.log.read_text() == "first\nsecond\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_caller_ends_the_engine(lab, number):
    lab.write("endless", "disp('on'); fflush(stdout);", "while true, pause(0.1); end")
    caller = lab.in_another_run("endless", stderr=subprocess.PIPE)
    wait_for(lambda: lab.log.exists() and lab.log.read_text() == "on\n")
    assert len(lab.processes()) == 3  # the supervisors and Octave
    caller.send_signal(number)
    _, err = caller.communicate(timeout=60)
    assert caller.returncode == -number
    assert number == signal.SIGKILL or b"KeyboardInterrupt" in err
    wait_for(lambda: not lab.processes() and not list(lab.temporary.iterdir()))


@pytest.mark.parametrize(
    "statement",
    ["cd('/');", "fclose('all');", "clear('all');", "cd('/'); clear('all');", "restoredefaultpath(); cd('/');"],
)
def test_a_function_that_turns_everything_over_still_answers(lab, statement):
    lab.write("careless", statement)
    assert lab.call("careless")["version"]


def test_a_function_reads_no_input(lab):
    lab.write("reads", "disp(fgetl(stdin));")
    assert lab.printed("reads") == "-1\n"


def test_the_folder_of_the_temporary_files_may_have_any_name(lab, monkeypatch):
    folder = lab.temporary / 'it\'s "my" Gerät $HOME `x` 神'
    folder.mkdir()
    use_temporary_folder(folder, monkeypatch)
    lab.write("quick", "disp(pwd());")
    lab.call("quick")
    close_pool()
    # And it was the one that was used.
    assert lab.log.read_text().startswith(f"{folder}/neuroluigi-")
    assert list(folder.iterdir()) == []
    folder.rmdir()


def test_a_folder_that_no_engine_can_use_is_refused(lab):
    odd = lab.matlab / "a:b"
    odd.mkdir()
    with pytest.raises(CallError, match="can't use a folder whose name contains ':'"):
        call_function(lab.engine, "quick", encode_arguments([]), [odd], lab.log, lab.limits)


def test_startup_files_of_the_user_are_left_alone(lab, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".octaverc").write_text("disp('from octaverc'); exit(7);\n")
    monkeypatch.setenv("HOME", str(home))
    lab.write("quick", "disp('only this');")
    lab.call("quick")
    assert lab.log.read_text() == "only this\n"
    assert [path.name for path in home.iterdir()] == [".octaverc"]


def test_matlab_answers_as_octave_does(matlab_lab):
    assert matlab_lab.call("quick")["version"]
    assert matlab_lab.log.read_text() == "worked\n"
    assert matlab_lab.fails_with("error('lab:broken', 'so');") == (
        "matlab: failing failed: lab:broken: so (failing, line 2 of failing.m)"
    )


@pytest.mark.parametrize("mode", ["banner prompt", "grandchild"])
def test_what_matlab_does_beside_is_no_failure(matlab_lab, monkeypatch, mode):
    monkeypatch.setenv("FAKE_MATLAB", mode)
    matlab_lab.call("quick")
    assert "worked\n" in matlab_lab.log.read_text()
    # The survivor did not hold up the call, and is ended too.
    assert not matlab_lab.processes()


@pytest.mark.parametrize(
    ("mode", "reason"), [("crash-before-answer", "killed by signal 11"), ("exit-0-without-output", "exit code 0")]
)
def test_a_matlab_that_ends_without_an_answer(matlab_lab, monkeypatch, mode, reason):
    monkeypatch.setenv("FAKE_MATLAB", mode)
    assert matlab_lab.failure("quick").startswith(f"matlab ended without an answer ({reason})")


def test_a_crash_after_the_answer_is_a_warning(matlab_lab, monkeypatch, caplog):
    monkeypatch.setenv("FAKE_MATLAB", "crash-after-answer")
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        matlab_lab.call("quick")
    assert "matlab ended badly after its last answer (killed by signal 11)" in caplog.text


@pytest.mark.parametrize("succeeds", [True, False])
def test_an_engine_that_hangs_after_its_answer_is_ended(matlab_lab, monkeypatch, caplog, succeeds):
    monkeypatch.setenv("FAKE_MATLAB", "hang-after-answer")
    monkeypatch.setattr(session, "EXIT_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        if succeeds:
            assert matlab_lab.call("quick")["version"]
        else:
            assert "lab:broken: so" in matlab_lab.fails_with("error('lab:broken', 'so');")
    assert "matlab did not exit within" in caplog.text


def test_a_declared_release_that_is_not_found_fails_before_the_call(warm_matlab_lab):
    ran = warm_matlab_lab.folder / "ran"
    warm_matlab_lab.write("quick", f"fclose(fopen('{ran}', 'w'));")
    warm_matlab_lab.limits = Limits(release="R2019a")
    with pytest.raises(CallError, match=r"matlab 7\.3\.0 was found where luigi.cfg declares R2019a"):
        warm_matlab_lab.call("quick")
    assert not ran.exists()
    warm_matlab_lab.limits = Limits(release="7.3")
    warm_matlab_lab.call("quick")
    assert ran.exists()
