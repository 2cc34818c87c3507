"""results/report.html: one file that shows a whole pipeline, before, during and after a run, and after a failure.

The page has a digest of all that it shows, and is up to date as long as the digest of today is the same. It loads
nothing from outside: a content security policy in its head forbids that, and forbids to run any text in it.
"""

import base64
import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from neuroluigi.provenance.files import only_regular, read_bytes, write_text
from neuroluigi.provenance.record import package_versions, timestamp
from neuroluigi.steps.attempt import MADE, Outcome
from neuroluigi.steps.config import RunStopped, registered, results_root
from neuroluigi.steps.plan import discard_statuses
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import ResultTarget
from neuroluigi.steps.variants import those_there

if TYPE_CHECKING:
    import PIL.Image

    from neuroluigi.results.report.facts import Facts

_HERE = Path(__file__).parent
_DIGEST = re.compile(r'<meta name="neuroluigi-digest" content="([0-9a-f]{64})">')
_THUMBNAIL = re.compile(r'data-sha256="([0-9a-f]{64})" src="(data:image/[^"]+)"')

# The head of a page is within its first bytes.
_HEAD_BYTES = 4096

_THUMBNAIL_WIDTH = 350  # pixels, at least

# A drawing of lines is its own thumbnail, if it is not larger.
_MOST_SVG_BYTES = 100_000


class ReportTask(CarriesSettings, luigi.Task):
    """The report on all that the task `shows` requires; complete while the page is up to date. It runs nothing."""

    shows: type[luigi.Task]
    # The digest of the page that a run wrote.
    _written = ""
    run_outcome = Outcome()

    def output(self):
        return ResultTarget(report_path(), results_root() / "runs" / "report.json")

    def complete(self):
        """Return whether the page is up to date; after it was written, as of then: other runs may change results."""
        page = report_path()
        return _has_digest(page, self._written or _digest(_gather(self.shows(), page)))

    def run(self):
        began = time.monotonic()
        discard_statuses()
        self._written = update_report(self.shows(), report_path())
        self.run_outcome = Outcome(MADE, time.monotonic() - began)


def report_path() -> Path:
    """Return where the page is by default."""
    return results_root() / "report.html"


def update_report(root: luigi.Task, page: Path) -> str:
    """Write the page on all that `root` requires, whole or not at all, unless it is up to date.

    Returns the digest of its content. Raises RunStopped where it can't be written.
    """
    facts = _gather(root, page)
    digest = _digest(facts)
    if _has_digest(page, digest):
        return digest
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with registered("neuroluigi report"):
            write_text(page, _render(facts, page, digest))
    except OSError as error:
        raise RunStopped(
            f"neuroluigi: can't write {page}: {error.strerror or error}; write it elsewhere: neuroluigi report --output"
            " FILE"
        ) from error
    return digest


def _gather(root: luigi.Task, page: Path) -> "Facts":
    # Imported here: a run that makes no report should not wait for it.
    from neuroluigi.results.report.facts import gather

    # Those that a run is not asked for have results all the same.
    with those_there(counts=True):
        return gather(root, page)


def _has_digest(page: Path, digest: str) -> bool:
    """Return whether the page exists and has this digest."""
    try:
        with open(page, "rb", opener=only_regular) as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return False
    found = _DIGEST.search(head)
    return found is not None and found[1] == digest


def _digest(facts: "Facts") -> str:
    return hashlib.sha256(f"{facts.digest()} {_own_digest()}".encode()).hexdigest()


@functools.cache
def _own_digest() -> str:
    """Return a checksum of what makes the page."""
    files = sorted(path for path in _HERE.iterdir() if path.suffix in (".py", ".html", ".css", ".js"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _render(facts: "Facts", page: Path, digest: str) -> str:
    """Return the page."""
    import jinja2
    from markupsafe import Markup

    from neuroluigi.results.report import event_steps, methods, numbers, sections, variants
    from neuroluigi.results.report.facts import shown_time
    from neuroluigi.results.report.sessions import sessions

    style, script = ((_HERE / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    every_plot = sections.plots(facts)
    of_base, of_variants = (_with_thumbnails(some, page) for some in variants.shown_plots(every_plot))
    left_out = len(every_plot) - len(of_base) - len(of_variants)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    of_sessions = sessions(facts, of_base)
    rows = {one["row"] for one in of_sessions}
    text = environment.get_template("report.html").render(
        digest=digest,
        style=Markup(style),
        script=Markup(script),
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        now=shown_time(timestamp()),
        versions=package_versions(),
        facts=facts,
        sections=sections,
        methods=methods,
        picture=Markup(sections.picture(facts)),
        timeline=Markup(sections.timeline(facts)),
        numbers=numbers.numbers(facts),
        galleries=sections.galleries([one for one in of_base if one["group"] not in rows]),
        sessions=of_sessions,
        variants=variants.variants(facts, of_base, of_variants, left_out),
        events=event_steps.event_steps(facts),
        details=_packed(methods.details(facts)),
    )
    # What UTF-8 has no bytes for, such as half of a pair in a file's name, is shown as ?.
    return text.encode(errors="replace").decode()


def _packed(data: object) -> str:
    """Return data as JSON, packed: a thousand run records are ten megabytes of text that repeats itself."""
    return base64.b64encode(gzip.compress(json.dumps(data).encode(), 6, mtime=0)).decode()


def _with_thumbnails(plots: Sequence[Mapping], page: Path) -> list[dict]:
    """Return the plots, each with `thumbnail`, a data: address, "" where there is none."""
    known = _known_thumbnails(page)

    def thumbnail(plot: Mapping) -> str:
        return known.get(plot["sha256"]) or _thumbnail(plot["path"])

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = list(pool.map(thumbnail, plots))
    return [{**plot, "thumbnail": one} for plot, one in zip(plots, found, strict=True)]


def _known_thumbnails(page: Path) -> dict[str, str]:
    """Return those that the page has from before, by the sha256 of the plot."""
    with contextlib.suppress(OSError):
        return dict(_THUMBNAIL.findall(read_bytes(page).decode("utf-8", "replace")))
    return {}


def _thumbnail(plot: Path) -> str:
    if plot.suffix.lower() == ".svg":
        return _small_svg(plot)
    from PIL import Image

    # A damaged picture, or one of a kind that Pillow can't read, has none.
    with contextlib.suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        with Image.open(plot) as image:
            small = _opaque(image).reduce(max(1, image.width // _THUMBNAIL_WIDTH))
        stream = io.BytesIO()
        # A tenth of the time of the others, in which most of a first report goes.
        small.save(stream, "JPEG", quality=60)
        return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return ""


def _small_svg(plot: Path) -> str:
    """Return a drawing as a data: address, in which a browser runs nothing and from which it loads nothing."""
    with contextlib.suppress(OSError):
        if plot.stat().st_size <= _MOST_SVG_BYTES and b"<svg" in (content := read_bytes(plot)):
            return f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
    return ""


def _opaque(image: "PIL.Image.Image") -> "PIL.Image.Image":
    """Return a picture without transparency, on white paper."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image)
    return paper
