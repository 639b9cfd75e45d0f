"""The page: reads runs, fills the template, keeps within five megabytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inscl.errors import WorkspaceError
from inscl.reports import text
from inscl.reports.content import Limits, content
from inscl.storage.files.atomic import write_text
from inscl.storage.files.sealed_files import signed_page
from inscl.storage.objects.places import published
from inscl.storage.run.finished_run import Run, load_runs

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["MOST_BYTES", "environment", "render", "write_report"]

MOST_BYTES = 5_000_000
"""A page is smaller than this, whatever the size of the runs."""


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write one self-contained HTML page about one or more runs, finished or not.

    Args:
        runs: Run folders, or addresses of runs. The first is the one that the others stand beside.
        out: Where to write; ``report.html`` in the first run folder unless given.

    Returns:
        The path of the page: one file under 5 MB that asks for nothing else and needs no script.

    Raises:
        WorkspaceError: No run was given, a folder isn't a run, a file in it is damaged (the message names it), the
            page can't be written, or the runs are too many for one page.
    """
    if not runs:
        raise WorkspaceError("a report needs at least one run folder")
    loaded = load_runs([Path(folder) for folder in runs])
    target = loaded[0].folder / "report.html" if out is None else Path(out)
    limits = Limits()
    while True:
        page = signed_page(render(loaded, limits))
        if len(page.encode("utf-8")) < MOST_BYTES:
            with published(target.parent):
                write_text(target, page)
            return target
        if limits == limits.halved():
            raise WorkspaceError(f"{len(loaded)} runs of this size don't fit on one page; report fewer at a time")
        limits = limits.halved()


def render(runs: Sequence[Run], limits: Limits) -> str:
    """The page as text, with as much of the runs as `limits` allows."""
    return environment(Path(__file__).parent / "templates").get_template("report.html").render(**content(runs, limits))


def environment(templates: Path) -> Environment:
    """How every page is filled: the templates in a folder, with all that they print escaped and made visible."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever the template prints has its control characters drawn; then it is escaped.
        finalize=lambda item: text.visible(item) if isinstance(item, str) and not isinstance(item, Markup) else item,
    )
    made.filters.update(
        said=text.said,
        task=text.name,
        plain=text.plain,
        number=text.value,
        amount=text.amount,
        duration=text.duration,
        scorer=text.scorer_name,
    )
    return made
