r"""A summary for people: terminal, Markdown and LaTeX here; CSV and the page from their own modules, under one name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inscl.bench.numbers.summary import Summary
from inscl.bench.show.figure import budget_figure
from inscl.bench.show.long_table import to_csv
from inscl.bench.show.page import to_html
from inscl.bench.show.sheets import Sheet, introduction, sections
from inscl.reports.text import plain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["budget_figure", "print_table", "to_csv", "to_html", "to_latex", "to_markdown"]

# As wide as it is, or as a line.
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{"

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # At the start of a row these two would be taken for an argument of the \\ before it.
    "[": "{[}",
    "*": "{*}",
    "⟨": r"\textless{}",
    "⟩": r"\textgreater{}",
    "−": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "\u00a0": "~",
}


def print_table(summary: Summary, console: Console) -> None:
    """Print every table on a terminal, names as they are: no markup in them is followed."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for line in introduction(summary):
        console.print(Text(plain(line, 2000)))
    for section in sections(summary):
        console.print()
        console.print(Text(plain(section.title), style="bold"))
        for line in section.statements:
            console.print(Text(plain(line, 2000)))
        for sheet in section.sheets:
            table = Table(title=Text(plain(sheet.title)), box=box.SIMPLE, title_justify="left")
            for place, head in enumerate(sheet.head):
                table.add_column(Text(plain(head)), justify="right" if place else "left")
            for row in sheet.rows:
                table.add_row(*(Text(plain(cell)) for cell in row))
            console.print(table)
            for line in sheet.notes:
                console.print(Text(plain(line, 2000)))


def to_markdown(summary: Summary) -> str:
    """The tables in GitHub's Markdown; names can't break a table or become markup."""
    parts = [_markdown(line, 2000) for line in introduction(summary)]
    for section in sections(summary):
        parts += [f"## {_markdown(section.title)}", *(_markdown(line, 2000) for line in section.statements)]
        for sheet in section.sheets:
            parts += [f"### {_markdown(sheet.title)}", _markdown_table(sheet)]
            parts += [_markdown(line, 2000) for line in sheet.notes]
    return "\n\n".join(parts) + "\n"


def to_latex(summary: Summary) -> str:
    r"""The tables as LaTeX ``table`` environments, made smaller where they are wider than a line.

    Needs ``\usepackage{booktabs,graphicx}`` and nothing else.
    """
    lines = [r"% Needs \usepackage{booktabs,graphicx}.", *(f"% {plain(s, 2000)}" for s in introduction(summary))]
    for section in sections(summary):
        for sheet in section.sheets:
            said = [f"{section.title}. {sheet.title}", *section.statements, *sheet.notes]
            lines += ["", *_latex_table(sheet, " ".join(part if part.endswith(".") else f"{part}." for part in said))]
    return "\n".join(lines) + "\n"


def _markdown(text: str, limit: int = 80) -> str:
    escaped = plain(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", escaped)
    # A line that starts like a list, or a bare address, would be taken for one.
    return re.sub(r"^(\d*)([-+.)])(?=\s|$)", r"\1\\\2", escaped).replace("://", ":&#47;&#47;")


def _markdown_table(sheet: Sheet) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rule = line(["---"] + ["---:"] * (len(sheet.head) - 1))
    rows = [line([_markdown(cell) for cell in row]) for row in sheet.rows]
    return "\n".join([line([_markdown(head) for head in sheet.head]), rule, *rows])


def _latex_table(sheet: Sheet, caption: str) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(_latex(cell) for cell in cells) + r" \\"

    return [
        r"\begin{table}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_latex(caption, 4000)}}}",
        rf"{_FITTED}\begin{{tabular}}{{l{'r' * (len(sheet.head) - 1)}}}",
        r"\toprule",
        line(sheet.head),
        r"\midrule",
        *(line(row) for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _latex(text: str, limit: int = 80) -> str:
    return "".join(_LATEX.get(character, character) for character in plain(text, limit))
