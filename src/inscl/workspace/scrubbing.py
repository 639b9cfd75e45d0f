"""Texts out of the files of a workspace, so that no search finds them any more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.storage.files.atomic import read_jsonl, write_jsonl
from inscl.storage.run.run_folder import Record
from inscl.workspace.lineage import StageFolder
from inscl.workspace.other_files import OtherFiles

__all__ = ["LONG", "Scrubber", "as_one_text"]

_TEXTS = ("instruction", "input", "source", "prediction")
_LISTS = ("outputs", "references")
_NESTED = ("turns", "options", "metadata", "provenance")

LONG = 16
"""A text of so many characters that equals an erased one is that text; a shorter one may be anybody's."""


@dataclass(frozen=True)
class Scrubber:
    """Takes out what is erased.

    Attributes:
        names: Tasks that go whole.
        matches: Finds the texts that go; None where tasks go whole.
        texts: Inputs and references that went; an answer that equals one goes too.
        prompts: Whole prompts that went.
        tags: Tags that only erased instructions had.
    """

    names: frozenset[str]
    matches: Callable[[str], bool] | None
    texts: frozenset[str]
    prompts: frozenset[str]
    tags: frozenset[str]

    def replayed(self, record: Record) -> int:
        """How many erased examples a stage replayed."""
        if not (record.path / "replay.jsonl").exists():
            return 0
        return sum(self._goes(row, str(row.get("task", ""))) for row in record.rows("replay.jsonl"))

    def clean(self, workspace: Path, folders: Sequence[StageFolder], others: OtherFiles) -> int:
        """Rewrite every file that holds something of it; returns how many changed."""
        changed = 0
        for folder in folders:
            record = folder.record
            # Answers of an evaluation that was interrupted: they are asked for again.
            record.clear_progress()
            count = self._clean_plan(record)
            for file in sorted(record.path.rglob("*.jsonl")):
                count += self._clean_rows(record, file)
            if count and record.done:
                record.finish()
            changed += count
        changed += sum(map(self._clean_export, others.exports)) + sum(map(self._clean_planned, others.plans))
        # Pages can be drawn again; halves of files are what a killed process left.
        places = [workspace / name for name in ("stages", "discarded", ".copies")]
        halves = [*workspace.glob(".*.part"), *(file for place in places for file in place.rglob(".*.part"))]
        for file in [*others.pages, *halves]:
            file.unlink()
            changed += 1
        return changed

    def _clean_rows(self, record: Record, file: Path) -> int:
        name = file.relative_to(record.path).as_posix()
        task = file.stem if name.startswith("predictions/") else None
        rows = record.rows(name)
        if name == "rejected.jsonl" and self.names:
            # Nothing tells which task a row would have belonged to.
            kept: list[Any] = []
        else:
            kept = [row for row in rows if not self._goes(row, task or str(row.get("task", "")))]
        if len(kept) == len(rows):
            return 0
        record.write_rows(name, kept)
        return 1

    def _clean_export(self, file: Path) -> int:
        rows = read_jsonl(file)
        kept = [row for row in rows if not self._other_goes(row)]
        if len(kept) < len(rows):
            write_jsonl(file, kept)
        return int(len(kept) < len(rows))

    def _clean_planned(self, record: Record) -> int:
        changed = self._clean_plan(record)
        for name in ("replay.jsonl", "train.jsonl"):
            rows = record.rows(name) if record.has(name) else []
            kept = [row for row in rows if not self._other_goes(row)]
            if len(kept) < len(rows):
                record.write_rows(name, kept)
                changed += 1
        if changed:
            record.finish()
        return changed

    def found_in(self, file: Path) -> bool:
        """Whether a file that isn't inscl's holds erased text, as it is or as JSON escapes it."""
        content = file.read_bytes().decode(errors="replace")
        for text in (text for text in self.texts if len(text) >= LONG):
            escaped = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
            if any(form in content for form in (text, *escaped)):
                return True
        return self._found(content) or any(self._found(text) for line in content.splitlines() for text in _said(line))

    def _clean_plan(self, record: Record) -> int:
        if not record.has("plan.json"):
            return 0
        before = record.read("plan.json")
        after = self._cleaned(before)
        if after != before:
            record.write("plan.json", after)
        return int(after != before)

    def _cleaned(self, plan: dict[str, Any]) -> dict[str, Any]:
        """A plan without the texts that go; what it took from each task, in numbers, stays."""
        shares = []
        for share in plan["tasks"]:
            rows = [] if share["task"] in self.names else share["instructions"]
            rows = [self._without_tags(row) for row in rows if not self._found(row["instruction"])]
            shares.append({**share, "instructions": rows})
        return {**plan, "tasks": shares, "notes": [line for line in plan["notes"] if not self._found(line)]}

    def _without_tags(self, row: dict[str, Any]) -> dict[str, Any]:
        tags = [tag for tag in row["reason"].get("tags", []) if not self._tag_goes(tag)]
        return {**row, "reason": {**row["reason"], "tags": tags}} if "tags" in row["reason"] else row

    def _other_goes(self, row: Any) -> bool:
        """Whether a row of a training file, in whichever layout, is erased."""
        texts = list(_strings(row))
        if isinstance(row, dict):
            if row.get("task") in self.names:
                return True
            texts.append(f"{row.get('instruction', '')}\n\n{row.get('input', '')}")
            texts += _conversations_of(row)
        return any(self._text_goes(text) for text in texts)

    def _goes(self, row: dict[str, Any], task: str) -> bool:
        """Whether a row of predictions or of a replay is, or repeats, what is erased."""
        if task in self.names:
            return True
        if self.matches is None:
            return str(row.get("prediction", "")) in self.texts
        texts = [row.get(name, "") for name in _TEXTS]
        texts += [text for name in _LISTS for text in row.get(name) or ()]
        texts += [text for name in _NESTED for text in _strings(row.get(name))]
        # A set-aside row holds its own columns under `row`.
        texts += list(_strings(row.get("row")))
        prompt = f"{row.get('instruction', '')}\n\n{row.get('input', '')}"
        return any(self._found(text) for text in (*texts, prompt))

    def _text_goes(self, text: str) -> bool:
        if self._found(text) or text in self.texts or text.strip() in self.texts:
            return True
        # A prompt that is written out has a template around it.
        return any(len(prompt) >= LONG and _holds(text, prompt) for prompt in self.prompts)

    def _tag_goes(self, tag: str) -> bool:
        return tag in self.tags or self._found(tag)

    def _found(self, text: Any) -> bool:
        return self.matches is not None and isinstance(text, str) and self.matches(text)


def as_one_text(turns: Iterable[str]) -> str:
    """A conversation as the text by which it is found again; apart from any text that is a single turn."""
    return "\0".join(["", *turns])


def _conversations_of(row: dict[str, Any]) -> list[str]:
    """The conversation before the answer in a row of a training file: of messages, of a prompt, of Alpaca's fields."""
    messages = row.get("messages") or row.get("prompt")
    if isinstance(messages, list) and all(isinstance(turn, dict) for turn in messages):
        said = [str(turn.get("content", "")) for turn in messages]
        return [as_one_text(said), as_one_text(said[:-1])]
    if not row.get("system") and not row.get("history"):
        return []
    said = [*filter(None, [row.get("system")]), *_strings(row.get("history"))]
    asked = [row.get("instruction", ""), f"{row.get('instruction', '')}\n\n{row.get('input', '')}"]
    return [as_one_text([*said, text]) for text in asked]


def _holds(text: str, part: str) -> bool:
    """Whether `part` stands in `text` and isn't the beginning or the end of something longer."""
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        if not text[max(start - 1, 0) : start].isalnum() and not text[end : end + 1].isalnum():
            return True
        start = text.find(part, start + 1)
    return False


def _said(line: str) -> list[str]:
    """A line, and every text in it if it is JSON."""
    try:
        return [line, *_strings(json.loads(line))]
    except (ValueError, RecursionError):
        return [line]


def _strings(value: Any) -> Iterable[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
