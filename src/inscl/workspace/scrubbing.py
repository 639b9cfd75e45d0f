"""Removes texts from the files of a workspace, so that no search finds them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from inscl.contract.example import LINEAGE
from inscl.data.picture_files import pictures_of, unused_pictures
from inscl.data.refined import REJECTED
from inscl.engine.plan import NOTED_FILES, VISITS
from inscl.storage.files.atomic import read_jsonl, write_jsonl
from inscl.storage.run.finished_run import LISTENING
from inscl.storage.run.stage_record import Record
from inscl.workspace.erasable import LONG, Erasable, as_one_text, strings
from inscl.workspace.lineage import StageFolder
from inscl.workspace.other_files import OtherFiles

__all__ = ["Scrubber"]

_TEXTS = ("instruction", "input", "source", "prediction")
_NESTED = ("outputs", "references", "turns", "options", "images", "metadata")
_NAMES = ("task", "instruction", "allocation")
"""Of a reason: what says which example and task it is of. Names of tasks stay."""


@dataclass(frozen=True)
class Scrubber:
    """Removes erased texts from files of every kind.

    Attributes:
        gone: What is erased.
    """

    gone: Erasable

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
            count = self._clean_plan(record) + self._clean_noted(record)
            for file in sorted(record.path.rglob("*.jsonl")):
                # What a learner keeps may belong together; it takes examples out itself.
                if folder.forget is None or record.model not in file.parents:
                    count += self._clean_rows(record, file)
            if folder.forget is not None:
                change = partial(folder.forget, erased=self.gone.erased)
                count += record.change_model(change, folder.forgets_in)
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

    def _clean_noted(self, record: Record) -> int:
        """Remove what was made from all examples of a task that loses some; how many files went."""
        folder = record.path / NOTED_FILES
        if not folder.is_dir() or record.task not in self.gone.thinned | self.gone.names:
            return 0
        files = [file.relative_to(record.path).as_posix() for file in folder.rglob("*") if file.is_file()]
        record.drop_files(files)
        shutil.rmtree(folder)
        return len(files)

    def _clean_rows(self, record: Record, file: Path) -> int:
        name = file.relative_to(record.path).as_posix()
        task = file.stem if name.startswith("predictions/") else None
        rows = record.rows(name)
        if name == REJECTED:
            kept = [row for row in rows if not self.gone.takes_rejected(row)]
        elif name == VISITS:
            kept = [row for row in rows if row.get("id") not in self.gone.erased.ids]
        else:
            kept = [row for row in rows if not self._goes(row, task or str(row.get("task", "")))]
        if name == "replay.jsonl":
            kept = list(map(self._with_reason, kept))
        elif name == LISTENING:
            kept = [row for row in kept if not self._echoes(row)]
        if kept == rows:
            return 0
        record.write_rows(name, kept)
        return 1

    def _echoes(self, row: dict[str, Any]) -> bool:
        """Whether a question that was asked with its key part changed has a part of what goes, or answers with it."""
        parts = [text for text in (row.get("other"), *row.get("parts", ())) if text]
        answers = [text for text in (row.get("without"), row.get("swapped")) if text]
        lent = any(self._is_lent(part) or self.gone.found(part) for part in parts)
        return lent or any(map(self._text_goes, answers))

    def _clean_export(self, file: Path) -> int:
        rows = read_jsonl(file)
        kept = [row for row in rows if not self._other_goes(row)]
        if len(kept) < len(rows):
            write_jsonl(file, kept)
        unused = _unused(file.parent)
        for picture in unused:
            picture.unlink(missing_ok=True)
        return int(len(kept) < len(rows)) + len(unused)

    def _clean_planned(self, record: Record) -> int:
        changed = self._clean_plan(record)
        for name in ("replay.jsonl", "train.jsonl"):
            rows = record.rows(name) if record.has(name) else []
            kept = [row for row in rows if not self._other_goes(row)]
            if len(kept) < len(rows):
                record.write_rows(name, kept)
                changed += 1
        if unused := _unused(record.path):
            record.drop_files(file.relative_to(record.path).as_posix() for file in unused)
        if changed := changed + len(unused):
            record.finish()
        return changed

    def _shows(self, row: dict[str, Any]) -> bool:
        """Whether a row has a picture that no example that stays asks about."""
        return not self.gone.pictures.isdisjoint(pictures_of(row))

    def found_in(self, content: bytes) -> bool:
        """Whether a file that isn't inscl's, or a cached answer, holds erased text, as it is or as JSON escapes it."""
        said, found = content.decode(errors="replace"), self.gone.found
        for text in (text for text in self.gone.texts if len(text) >= LONG):
            escaped = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
            if any(form in said for form in (text, *escaped)):
                return True
        return found(said) or any(found(text) for line in said.splitlines() for text in _said(line))

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
            rows = [] if share["task"] in self.gone.names else share["instructions"]
            rows = [self._with_reason(row) for row in rows if not self._is_gone(row["instruction"])]
            shares.append(self._with_reason({**share, "instructions": rows}, parts=True))
        return {**plan, "tasks": shares, "notes": [line for line in plan["notes"] if not self._quotes(line)]}

    def _with_reason(self, row: dict[str, Any], parts: bool = False) -> dict[str, Any]:
        """A row whose reason quotes nothing that goes; a strategy may write into it what it likes.

        Args:
            row: With a reason or without.
            parts: Whether parts of instructions that go count, too, as those that a strategy masked do.
        """

        def goes(value: Any) -> bool:
            return self._quotes(value) or (parts and any(map(self._is_lent, strings(value))))

        reason = {
            name: [one for one in value if not goes(one)] if isinstance(value, list) else value
            for name, value in row.get("reason", {}).items()
        }
        kept = {name: value for name, value in reason.items() if name in _NAMES or not goes(value)}
        return {**row, "reason": kept} if "reason" in row else row

    def _is_lent(self, text: str) -> bool:
        """Whether a text is a part of an instruction that goes."""
        return bool(text) and any(text in instruction for instruction in self.gone.instructions)

    def _quotes(self, value: Any) -> bool:
        """Whether a text of a plan is, or holds, something that goes."""
        gone = self.gone
        said = list(strings(value))
        held = (_holds(text, one) for text in said if len(text) >= LONG for one in gone.texts if len(one) >= LONG)
        return any(text in gone.tags or self._is_gone(text) for text in said) or any(held)

    def _other_goes(self, row: Any) -> bool:
        """Whether a row of a training file, in whichever layout, is erased."""
        if not isinstance(row, dict):
            return any(map(self._text_goes, strings(row)))
        provenance = _provenance(row)
        task = row.get("task")
        if task in self.gone.names or self.gone.descends(provenance) or self.gone.undescribes(str(task), provenance):
            return True
        if self._shows(row):
            return True
        said = {**row, "provenance": _written(provenance)} if provenance else row
        prompt = f"{row.get('instruction', '')}\n\n{row.get('input', '')}"
        return any(map(self._text_goes, (*strings(said), prompt, *_conversations_of(row))))

    def _goes(self, row: dict[str, Any], task: str) -> bool:
        """Whether a row of predictions or of a replay is, or repeats, what is erased."""
        if task in self.gone.names or row.get("prediction", "") in self.gone.texts or self._shows(row):
            return True
        provenance = row.get("provenance", {})
        if self.gone.descends(provenance) or self.gone.undescribes(task, provenance):
            return True
        if row.get("id") in self.gone.tested:
            return True
        texts = [row.get(name) or "" for name in _TEXTS]  # what was not generated has no prediction
        texts += [text for name in _NESTED for text in strings(row.get(name))]
        texts += strings(_written(provenance))
        prompt = f"{row.get('instruction', '')}\n\n{row.get('input', '')}"
        return any(self.gone.found(text) for text in (*texts, prompt))

    def _text_goes(self, text: str) -> bool:
        # A prompt that is written out has a template around it.
        held = (len(prompt) >= LONG and _holds(text, prompt) for prompt in self.gone.prompts)
        return self._is_gone(text) or any(held)

    def _is_gone(self, text: str) -> bool:
        return self.gone.found(text) or text in self.gone.texts or text.strip() in self.gone.texts


def _provenance(row: dict[str, Any]) -> dict[str, Any]:
    """What a row of a training file says of its descent, as it is or as JSON in a text; empty if it says nothing."""
    value = row.get("provenance")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) and "refiner" in value else {}


def _unused(folder: Path) -> list[Path]:
    """The pictures in a folder that no row beside them asks about any more."""
    rows = (row for file in folder.glob("*.jsonl") for row in read_jsonl(file) if isinstance(row, dict))
    return unused_pictures(folder, rows)


def _written(provenance: dict[str, Any]) -> dict[str, Any]:
    """What a refiner wrote, without ids and names."""
    return {name: value for name, value in provenance.items() if name not in LINEAGE}


def _conversations_of(row: dict[str, Any]) -> list[str]:
    """The conversation before the answer in a row of a training file: of messages, of a prompt, of Alpaca's fields."""
    messages = row.get("messages") or row.get("prompt")
    if isinstance(messages, list) and all(isinstance(turn, dict) for turn in messages):
        said = [str(turn.get("content", "")) for turn in messages]
        return [as_one_text(said), as_one_text(said[:-1])]
    if not row.get("system") and not row.get("history"):
        return []
    said = [*filter(None, [row.get("system")]), *strings(row.get("history"))]
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
        return [line, *strings(json.loads(line))]
    except (ValueError, RecursionError):
        return [line]
