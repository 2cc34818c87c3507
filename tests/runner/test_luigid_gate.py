"""Who may do what at luigid, and how the visualiser shows its token."""

import base64
import http.client
import json
import re
import socket
from pathlib import Path

import luigi.server
import pytest
from luigi.scheduler import RPC_METHODS
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from neuroluigi.runner.luigid import Scheduler
from neuroluigi.runner.luigid_gate import LOCAL_HOSTS, READING, Access, with_token

ACCESS = Access({*LOCAL_HOSTS, "lab1"}, "secret")
BASIC = base64.b64encode(b"luigi:secret").decode()
WRONG = base64.b64encode(b"secret:").decode()


def status(path, method="POST", access=ACCESS, **headers):
    """Return the status with which a request is refused, 0 where it is not."""
    headers = {"Host": "localhost:8082", **headers}
    given = HTTPHeaders({name: value for name, value in headers.items() if value is not None})
    request = HTTPServerRequest(start_line=RequestStartLine(method, path, "HTTP/1.1"), headers=given)
    refusal = access.refusal(request)
    return refusal.status if refusal else 0


@pytest.mark.parametrize("path", ["/", "/static/visualiser/index.html", "/api/task_list", "/api/graph?data={}"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_needs_an_allowed_host_alone(path, method):
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8082", "[::1]:8082", "lab1:8082", "Lab1"):
        assert status(path, method, Host=host) == 0
    for host in ("", "evil.example", "evil.example:8082", "localhost.evil.example", "127.0.0.2", "0.0.0.0", ":1"):
        assert status(path, method, Host=host, Authorization="Bearer secret") == 403


ORIGINS = [
    ("http://localhost:8082", 0),
    ("HTTP://LOCALHOST:8082", 0),
    ("http://localhost:3000", 403),
    ("http://localhost", 403),
    ("http://127.0.0.1:8082", 403),
    ("http://evil.example", 403),
    ("null", 403),
    ("", 403),
]


@pytest.mark.parametrize(("origin", "expected"), ORIGINS)
def test_another_origin_is_refused_whatever_it_asks_for(origin, expected):
    known = {"Origin": origin, "Authorization": "Bearer secret"}
    for request in ("GET /", "GET /api/task_list", "OPTIONS /api/task_list", "POST /api/pause"):
        method, path = request.split()
        assert status(path, method, **known) == expected, request


CHANGING = sorted({*RPC_METHODS} - READING)


@pytest.mark.parametrize("method", [*CHANGING, "no_such", "", "task_list/", "TASK_LIST", "../x"])
def test_what_may_change_something_needs_post_and_the_token(method):
    path = f"/api/{method}"
    for good in ("Bearer secret", "bearer  secret", f"Basic {BASIC}", f"basic {BASIC}"):
        assert status(path, Authorization=good) == 0
        assert {status(path, one, Authorization=good) for one in ("GET", "PUT", "DELETE", "HEAD")} == {405}
    for bad in (None, "", "secret", "Bearer", "Bearer Secret", "Bearer secre", "Bearer sécret", "Digest secret"):
        assert status(path, Authorization=bad) == 401
    for bad in ("Basic", "Basic !", "Basic secret", f"Basic {WRONG}", "Basic /w==", f"Bearer {BASIC}"):
        assert status(path, Authorization=bad) == 401
    assert status(path, access=Access(LOCAL_HOSTS, "")) == 0


def test_what_may_be_read_without_the_token_changes_nothing(tmp_path):
    given = {
        "dep_graph": {"task_id": "a"},
        "inverse_dep_graph": {"task_id": "a"},
        "fetch_error": {"task_id": "a"},
        "get_running_task_resources": {"task_id": "a"},
        "get_scheduler_message_response": {"task_id": "a", "message_id": "m"},
        "get_task_progress_percentage": {"task_id": "a"},
        "get_task_status_message": {"task_id": "a"},
        "task_search": {"task_str": "a"},
    }
    assert set(RPC_METHODS) >= READING >= given.keys()

    def state(scheduler):
        tasks, workers, *rest = scheduler._state.get_state()
        return repr([{name: vars(one) for name, one in of.items()} for of in (tasks, workers)]), repr(rest)

    scheduler = Scheduler(state_path=str(tmp_path / "state"))
    scheduler.add_task(task_id="a", worker="w", family="a", deps=["b"], params={})
    scheduler.add_task(task_id="b", worker="w", family="b", params={})
    before = state(scheduler)
    for method in READING:
        for task in ("a", "unknown"):
            arguments = {name: task if value == "a" else value for name, value in given.get(method, {}).items()}
            json.dumps(getattr(scheduler, method)(**arguments))
        assert state(scheduler) == before, method


def test_the_visualiser_of_this_luigi_is_as_expected_and_another_one_is_refused():
    script = Path(luigi.server.__file__).with_name("static") / "visualiser" / "js" / "luigi.js"
    changed = with_token(script.read_text(encoding="utf-8"))
    assert 'method: "POST"' in changed and '"GET"' not in changed
    for other in ("", changed):
        with pytest.raises(ValueError, match="not as expected"):
            with_token(other)
    # All its calls go through the one function that was changed, and no other script calls luigid.
    call = re.compile(r"\$\.(?:ajax|get|post|getJSON)\(|XMLHttpRequest|fetch\(")
    calls = {one.name: len(call.findall(one.read_text(encoding="utf-8"))) for one in script.parent.glob("*.js")}
    assert {name for name, count in calls.items() if count} == {"luigi.js"} and calls["luigi.js"] == 1


def test_what_a_server_answers(luigid):
    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", luigid.port, timeout=60)
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.headers, answer.read().decode()

    code, headers, text = ask("POST", "/api/pause", "data={}")
    assert code == 401 and text == "luigid: no token was given; it is in the link that luigid printed when it started\n"
    # Of Basic, a browser would ask for a password.
    assert headers["WWW-Authenticate"] == 'Bearer realm="luigid"'
    code, headers, _ = ask("GET", "/api/pause", Authorization=f"Bearer {luigid.token}")
    assert (code, headers["Allow"]) == (405, "POST")
    for path in ("/api/task_list", "/static/visualiser/index.html", "/static/visualiser/js/luigi.js", "/none"):
        code, headers, _ = ask("GET", path)
        assert code == (404 if path == "/none" else 200)
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert not [name for name in headers if name.startswith(("Access-Control", "Set-Cookie"))]
    assert ask("POST", "/api/pause", "data={}", Authorization=f"Bearer {luigid.token}")[0] == 200
    with socket.create_connection(("127.0.0.1", luigid.port), timeout=60) as connection:
        connection.sendall(b"GET /\x9b31mred HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        # Newer releases of Tornado take it for no request.
        assert re.search(b" 40[04] ", connection.makefile("rb").readline())
    log = (luigid.folder / "luigid.log").read_bytes().decode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", log)
