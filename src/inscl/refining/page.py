"""The page that shows what a refiner did: rows before and after, and what was left out and why."""

from __future__ import annotations

import html
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.data.refined import REJECTED, SUMMARY
from inscl.refining.compared import compared
from inscl.refining.difficulty import Student
from inscl.storage.files.atomic import read_json, read_jsonl, write_text

__all__ = ["PAGE", "write_page"]

PAGE = "refined.html"
"""The page's name in the folder that ``inscl refine`` wrote."""
_ROWS = 100  # of each table
_LENGTH = 1000  # characters of a text
_STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;table-layout:fixed;margin:.5rem 0 2rem}
th,td{border:1px solid #ccc;padding:.5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
td div{white-space:pre-wrap}th{background:#f3f3f3}.quiet{color:#666;font-size:.85rem}"""


def write_page(folder: Path, student: Student | None = None) -> Path:
    """Write the page of a folder that ``inscl refine`` finished; static, and nothing in the data can be markup.

    Each table shows at most 100 rows and 1,000 characters of a text, and says how many there are.

    Args:
        folder: What was refined.
        student: The model by which IFD is measured; None leaves that column out.
    """
    summary = read_json(folder / SUMMARY)
    rejected = [row for row in read_jsonl(folder / REJECTED) if "refiner" in row]
    rows = [(task, row) for task in summary["tasks"] for row in read_jsonl(folder / "tasks" / f"{task}.jsonl")]
    gone = {row["id"]: row["row"] for row in rejected}
    kept = {Example.from_json(row).id: row for _, row in rows}
    made = {k: parent for k, (_, row) in enumerate(rows) if (parent := _parent(row, summary["asked"])) in gone | kept}
    pairs = [_pair(rows[k][0], kept.get(one) or gone[one], one in kept, rows[k][1]) for k, one in made.items()]
    unchanged = folder / "unchanged.jsonl"
    told = read_jsonl(unchanged) if unchanged.is_file() else []
    unimproved, partly = [row for row in told if "made" not in row], [row for row in told if "made" in row]
    lost = [row for row in rejected if not row["reason"].startswith("replaced by") and _by_this(row, summary["asked"])]
    name = f"{summary['asked']['refiner']} {summary['asked']['version']}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(name)}</title><style>{_STYLE}</style>",
        f"<h1>What {_text(name)} did</h1>",
        _table(("", *summary["totals"]), [["rows", *map(str, summary["totals"].values())]]),
        _spent(summary.get("spent")),
        "<h2>Train rows in numbers</h2>",
        _numbers(rows, made, [row for row in rejected if _by_this(row, summary["asked"])], summary["asked"], student),
        _heading("Before and after", len(pairs)),
        _table(("task", "before", "after"), pairs[:_ROWS]),
        _heading("Left out", len(lost)),
        _reasons(lost),
        _table(("task", "row", "reason"), [_left_out(row) for row in lost[:_ROWS]]),
        _heading("Unchanged, since nothing could be made of them", len(unimproved)),
        _reasons(unimproved),
        _heading("Less was added than was to be", len(partly)),
        _reasons(partly),
    ]
    write_text(folder / PAGE, "\n".join(parts) + "\n")
    return folder / PAGE


def _numbers(
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    made: Collection[int],
    gone: Sequence[Mapping[str, Any]],
    asked: Mapping[str, Any],
    student: Student | None,
) -> str:
    """The train rows as they were and as they are.

    Args:
        rows: All rows that there are, with their tasks.
        made: Places of those that this refinement made.
        gone: What it set aside; also what it made and rejected, since it gave a test row away.
        asked: What was asked for.
        student: By which IFD is measured; None measures none.
    """
    before: defaultdict[str, list[Example]] = defaultdict(list)
    after: defaultdict[str, list[Example]] = defaultdict(list)
    for k, (task, row) in enumerate(rows):
        for part in (after, *(() if k in made else (before,))):
            part[task] += [Example.from_json(row)] if row["split"] == "train" else []
    for one in gone:
        if not _by_this(one["row"].get("provenance", {}), asked):
            before[one["task"]].append(Example.from_json(one["row"]))
    head = ["rows", "distinct instructions", "distinct tags", "words of a prompt", "words of an answer"]
    head += ["near-duplicates", *([] if student is None else [f"mean IFD by {student.model}"])]
    lines = []
    for name, of in (("before", before), ("after", after)):
        found = compared(of, None if student is None else student.ifd)
        told = (found.rows, found.instructions, found.tags, found.prompt_words, found.answer_words)
        line = [name, *map(_number, (*told, found.near_duplicates))]
        lines.append(line if student is None else [*line, "–" if found.ifd is None else f"{found.ifd:.3f}"])
    return _table(("", *head), lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}".removesuffix(".0")


def _parent(row: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """What a row was made from, if by this refiner; what an earlier refinement made has a parent elsewhere."""
    facts = row.get("provenance", {})
    if not _by_this(facts, asked):
        return ""
    parent: str | Sequence[str] = facts["parent"]
    return parent if isinstance(parent, str) else parent[0]


def _by_this(facts: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether this refiner with these parameters did it: an earlier refinement may have left its rows too."""
    return (facts.get("refiner"), facts.get("parameters")) == (asked["refiner"], asked["fingerprint"])


def _pair(task: str, before: Mapping[str, Any], stays: bool, after: Mapping[str, Any]) -> list[str]:
    facts = after["provenance"]
    told = [str(facts.get("how", "")), *map(str, facts.get("fell_back", ()))]
    if isinstance(changed := facts.get("changed"), Mapping):
        told.append(f"{changed.get('from')} → {changed.get('to')}")
    told += [f"{name}: {facts[name]}" for name in ("ifd", "reversed_ifd") if name in facts]
    note = f"<p class=quiet>{_text('; '.join(told))}</p>"
    beside = "<p class=quiet>kept beside it</p>" if stays else ""
    return [_text(task), _row(before) + beside, _row(after) + note]


def _left_out(row: Mapping[str, Any]) -> list[str]:
    return [_text(str(row.get("task", ""))), _row(row["row"]), _text(str(row["reason"]))]


def _row(row: Mapping[str, Any]) -> str:
    texts = [("instruction", row["instruction"]), ("input", row.get("input", "")), ("answer", row["outputs"][0])]
    size = sum(len(text) for _, text in texts)
    cells = "".join(f"<div><b>{name}</b> {_text(text)}</div>" for name, text in texts if text)
    return f"{cells}<p class=quiet>{size:,} characters</p>"


def _reasons(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(str(row["reason"]) for row in rows).most_common(10)
    return "<ul>" + "".join(f"<li>{count:,} × {_text(reason)}</li>" for reason, count in counts) + "</ul>"


def _spent(spent: Mapping[str, Any] | None) -> str:
    if spent is None:
        return ""
    price = "" if spent["price"] is None else f", for {spent['price']:.2f}"
    tokens = f"{spent['input_tokens']:,} tokens in, {spent['output_tokens']:,} out"
    return f"<p>Asked of language models: {spent['requests']:,} requests, {tokens}{price}.</p>"


def _heading(title: str, count: int) -> str:
    shown = f", of which {_ROWS} are shown" if count > _ROWS else ""
    return f"<h2>{title} ({count:,}{shown})</h2>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are markup already."""
    if not rows:
        return ""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _text(text: str) -> str:
    """A text as it may stand in a page: shortened, without invisible characters, escaped."""
    short = text if len(text) <= _LENGTH else f"{text[:_LENGTH]} …"
    seen = (" " if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" else c for c in short)
    return html.escape("".join(seen))
