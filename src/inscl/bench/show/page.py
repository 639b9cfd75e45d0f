"""A summary as one HTML page that opens offline, light or dark, with the report's style."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from inscl.bench.numbers.summary import Summary
from inscl.bench.show.figure import budget_figure
from inscl.bench.show.sheets import introduction, sections
from inscl.reports.page import environment

__all__ = ["to_html"]


def to_html(summary: Summary) -> str:
    """The page as text: every table, and the figure where there are two budgets; no script, nothing from outside."""
    return (
        environment(Path(__file__).parent.parent / "templates")
        .get_template("bench.html")
        .render(
            styles=Markup((files("inscl.reports") / "templates" / "style.css").read_text(encoding="utf-8")),
            introduction=introduction(summary),
            sections=sections(summary),
            # The figure escapes its own texts.
            figure=Markup(budget_figure(summary)),
        )
    )
