"""Texts out of the files of a workspace, so that no search finds them any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.lifelong.lineage import StageFolder
from inscl.workspace.atomic import read_json, read_jsonl, write_json, write_jsonl
from inscl.workspace.run_folder import Record

__all__ = ["Scrubber"]

_TEXTS = ("instruction", "input", "source", "prediction")
_LISTS = ("outputs", "references")


@dataclass(frozen=True)
class Scrubber:
    """Takes out what is erased.

    Attributes:
        names: Tasks that go whole.
        matches: Finds the texts that go; None where tasks go whole.
        texts: Inputs and references that went; an answer that equals one goes too.
        tags: Tags that only erased instructions had.
    """

    names: frozenset[str]
    matches: Callable[[str], bool] | None
    texts: frozenset[str]
    tags: frozenset[str]

    def replayed(self, record: Record) -> int:
        """How many erased examples a stage replayed."""
        if not (record.path / "replay.jsonl").exists():
            return 0
        return sum(self._goes(row, str(row.get("task", ""))) for row in record.rows("replay.jsonl"))

    def clean(self, workspace: Path, folders: Sequence[StageFolder]) -> int:
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
        stages = {folder.record.path for folder in folders}
        for file in sorted([*workspace.rglob("*.jsonl"), *workspace.rglob("plan.json")]):
            # What else stands in the workspace, as an export or plans do.
            if stages.isdisjoint(file.parents):
                changed += self._clean_other(file)
        # Pages can be drawn again; halves of files are what a killed process left.
        for file in [*workspace.glob("*.html"), *workspace.rglob(".*.part")]:
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

    def _clean_other(self, file: Path) -> int:
        if file.name == "plan.json":
            before = read_json(file)
            after = self._cleaned(before)
            if after != before:
                write_json(file, after)
            return int(after != before)
        rows = read_jsonl(file)
        kept = [row for row in rows if not self._other_goes(row)]
        if len(kept) < len(rows):
            write_jsonl(file, kept)
        return int(len(kept) < len(rows))

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
            rows = [
                {**row, "tags": [tag for tag in row.get("tags", []) if not self._tag_goes(tag)]}
                for row in rows
                if not self._found(row["instruction"])
            ]
            shares.append({**share, "instructions": rows})
        return {**plan, "tasks": shares, "notes": [line for line in plan["notes"] if not self._found(line)]}

    def _other_goes(self, row: Any) -> bool:
        """Whether a row of a training file, in whichever layout, is erased."""
        texts = list(_strings(row))
        if isinstance(row, dict):
            if row.get("task") in self.names:
                return True
            texts.append(f"{row.get('instruction', '')}\n\n{row.get('input', '')}")
        return any(self._text_goes(text) for text in texts)

    def _goes(self, row: dict[str, Any], task: str) -> bool:
        """Whether a row of predictions or of a replay is, or repeats, what is erased."""
        if task in self.names:
            return True
        if self.matches is None:
            return str(row.get("prediction", "")) in self.texts
        texts = [row.get(name, "") for name in _TEXTS]
        texts += [text for name in _LISTS for text in row.get(name) or ()]
        # A set-aside row holds its own columns under `row`.
        texts += list(_strings(row.get("row")))
        prompt = f"{row.get('instruction', '')}\n\n{row.get('input', '')}"
        return any(self._found(text) for text in (*texts, prompt))

    def _text_goes(self, text: str) -> bool:
        return self._found(text) or text in self.texts

    def _tag_goes(self, tag: str) -> bool:
        return tag in self.tags or self._found(tag)

    def _found(self, text: Any) -> bool:
        return self.matches is not None and isinstance(text, str) and self.matches(text)


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
