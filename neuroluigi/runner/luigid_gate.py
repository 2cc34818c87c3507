"""Who may do what at luigid: a page of an allowed host reads; what changes anything needs a token.

A web page can make a browser call any port of this machine, also as a page of that very address (DNS rebinding), and
every user of the machine can do so without one. So luigid answers only under names that it knows, tells no page of
another origin anything, and takes orders only from who knows its token. There are no cookies: a browser sends those of
a host to all its ports.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import tornado.httputil
import tornado.routing
import tornado.web

from neuroluigi.provenance.plain_text import plain

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

# Luigi's calls that change nothing; any other one, also of a later release, needs the token.
READING = frozenset(
    (
        "dep_graph",
        "fetch_error",
        "get_running_task_resources",
        "get_scheduler_message_response",
        "get_task_progress_percentage",
        "get_task_status_message",
        "graph",
        "has_task_history",
        "inverse_dep_graph",
        "is_pause_enabled",
        "is_paused",
        "resource_list",
        "task_list",
        "task_search",
        "worker_list",
    )
)

# How the visualiser calls luigid, and how it is to.
_CALL = """            data: {data: JSON.stringify(paramObject)},
            method: "GET",
"""
_CALL_WITH_TOKEN = """            data: {data: JSON.stringify(paramObject || {})},
            method: "POST",
            headers: token ? {Authorization: "Bearer " + token} : {},
            error: function(answer) {
                if (answer.status >= 400 && answer.status < 500) {
                    alert("luigid: " + answer.statusText);
                }
            },
"""

# The link that luigid prints ends with the token, which no request for a page contains.
_FIND_TOKEN = """var token = (function() {
    var found = /[#&]token=([\\w-]+)/.exec(location.hash);
    if (found) {
        sessionStorage.setItem("luigid-token", found[1]);
        history.replaceState(null, "", location.pathname + location.search + location.hash.replace(found[0], ""));
    }
    return sessionStorage.getItem("luigid-token");
})();

"""


class Refusal(NamedTuple):
    """Why a request is refused, and what to do; `headers` say so to programs."""

    status: int
    why: str
    headers: dict[str, str] = {}


class Access(NamedTuple):
    """The names that luigid answers to, and its token; "" where nobody else reaches it, as at a Unix socket."""

    hosts: Collection[str]
    token: str

    def refusal(self, request: tornado.httputil.HTTPServerRequest) -> Refusal | None:
        """Return why a request is refused, None where it is not."""
        host = request.headers.get("Host", "").lower()
        if _without_port(host) not in self.hosts:
            return Refusal(403, "this host is not allowed: name it in [scheduler] hosts in the luigi.cfg of luigid")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin.lower()).netloc != host:
            return Refusal(403, "pages of other origins are refused")
        if not _changes_state(request) or not self.token:
            return None
        if request.method != "POST":
            return Refusal(405, "this changes something: it needs POST, and the token", {"Allow": "POST"})
        given = _given_token(request.headers.get("Authorization", ""))
        if hmac.compare_digest(given.encode(), self.token.encode()):
            return None
        which = "another token was given" if given else "no token was given"
        why = f"{which}; it is in the link that luigid printed when it started"
        return Refusal(401, why, {"WWW-Authenticate": 'Bearer realm="luigid"'})


def _without_port(host: str) -> str:
    return re.sub(r":\d*$", "", host).removeprefix("[").removesuffix("]")


def _changes_state(request: tornado.httputil.HTTPServerRequest) -> bool:
    if request.path.startswith("/api/"):
        return request.path.removeprefix("/api/") not in READING
    return request.method not in ("GET", "HEAD")


def _given_token(authorization: str) -> str:
    """Return the token of a header: Bearer TOKEN, or the password of Basic, which Luigi takes from the URL."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given).decode("utf-8", "replace").partition(":")[2]
        except binascii.Error:
            return ""
    return given.strip() if scheme.lower() == "bearer" else ""


class Gate(tornado.routing.Router):
    """Luigi's server behind an Access, with a visualiser that sends the token."""

    def __init__(self, server: tornado.web.Application, access: Access):
        self._server, self._access = server, access
        path = "visualiser/js/luigi.js"
        script = with_token(Path(server.settings["static_path"], path).read_text(encoding="utf-8"))
        server.add_handlers(".*", [(f"/static/{path}", _Script, {"script": script})])

    def find_handler(self, request, **kwargs):
        """Return who answers a request."""
        # Tornado logs it.
        request.uri = plain(request.uri)
        if refusal := self._access.refusal(request):
            return self._server.get_handler_delegate(request, _Refused, {"refusal": refusal})
        return self._server.find_handler(request, **kwargs)


def with_token(script: str) -> str:
    """Return the visualiser's luigi.js so that it calls by POST, with the token. Raises ValueError for another one."""
    if script.count(_CALL) != 1:
        raise ValueError("the visualiser of this release of Luigi is not as expected; use another release of Luigi")
    return _FIND_TOKEN + script.replace(_CALL, _CALL_WITH_TOKEN)


class _Script(tornado.web.RequestHandler):
    def initialize(self, script):
        self._script = script

    def get(self):
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.write(self._script)


class _Refused(tornado.web.RequestHandler):
    def initialize(self, refusal):
        self._refusal = refusal

    def prepare(self):
        raise tornado.web.HTTPError(self._refusal.status, self._refusal.why, reason=self._refusal.why)

    def write_error(self, status_code, **kwargs):
        for name, value in self._refusal.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"luigid: {self._refusal.why}\n")
