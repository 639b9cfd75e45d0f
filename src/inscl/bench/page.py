"""A summary as one HTML page that opens offline, light or dark, with the report's style."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from inscl.bench.figure import budget_figure
from inscl.bench.sheets import introduction, sections
from inscl.bench.summary import Summary
from inscl.reports import text

__all__ = ["to_html"]


def to_html(summary: Summary) -> str:
    """The page as text: every table, and the figure where there are two budgets; no script, nothing from outside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever the template prints has its control characters drawn; then it is escaped.
        finalize=lambda item: text.visible(item) if isinstance(item, str) and not isinstance(item, Markup) else item,
    )
    environment.filters.update(name=text.name, plain=text.plain)
    return environment.get_template("bench.html").render(
        styles=Markup((files("inscl.reports") / "templates" / "style.css").read_text(encoding="utf-8")),
        introduction=introduction(summary),
        sections=sections(summary),
        # The figure escapes its own texts.
        figure=Markup(budget_figure(summary)),
    )
