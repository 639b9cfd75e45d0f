"""Refiners at work on the train split of a task: everything is accounted for, and nothing of a test split gets in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.contract.refined import Refined, parents_of
from inscl.data.leak_check import LeakCheck
from inscl.data.readers.rows import read_bytes
from inscl.data.refiner_steps import Step
from inscl.errors import DataError, InsclError

__all__ = [
    "REJECTED",
    "SUMMARY",
    "RefinedSplit",
    "is_unfinished",
    "refine_split",
    "rejected_before",
]

REJECTED, SUMMARY = "rejected.jsonl", "refine.json"
"""Files of a folder that ``inscl refine`` wrote: the rows that aren't learned any more, and what was done."""


@dataclass(frozen=True)
class RefinedSplit:
    """A train split after one step or several.

    Attributes:
        examples: What there is to learn from, each with the place of the row that it was or was made from.
        rejected: What isn't learned any more, rejected or replaced: the place, and ``id``, ``reason``, ``refiner``,
            ``parameters`` (the step's fingerprint), ``row`` and what else is known.
        counts: For each step its name and how many rows were kept, replaced, added and rejected.
        unchanged: Rows that were to be improved and stay as they were: the place, and ``id``, ``reason``, ``refiner``;
            of those to which something was added, though less than was to be, also ``made``, how many rows.
    """

    examples: tuple[tuple[Example, int], ...]
    rejected: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    counts: tuple[tuple[str, Mapping[str, int]], ...] = ()
    unchanged: tuple[tuple[int, Mapping[str, Any]], ...] = ()

    def findings(self, task: str) -> list[str]:
        """One line for each step."""
        failed = Counter(facts["refiner"] for _, facts in self.unchanged if not facts.get("made"))
        partly = Counter(facts["refiner"] for _, facts in self.unchanged if facts.get("made"))
        lines = []
        for name, counts in self.counts:
            told = ", ".join(f"{count} {what}" for what, count in counts.items())
            notes = [f"{failed[name]} of them because nothing could be made of them{self._why(name)}"]
            notes = notes if failed[name] else []
            notes += [f"to {partly[name]} less was added than was to be"] if partly[name] else []
            lines.append(f"{task}, refined by {name}: {told}" + (f" ({', '.join(notes)})" if notes else ""))
        return lines

    def _why(self, refiner: str) -> str:
        """The reason why nothing could be made of rows, where all have the same; empty otherwise."""
        reasons = {str(facts["reason"]) for _, facts in self.unchanged if facts["refiner"] == refiner}
        return f": {reasons.pop()}" if len(reasons) == 1 else ""


def is_unfinished(folder: str | Path) -> bool:
    """Whether ``inscl refine`` was writing this folder and came to no end."""
    try:
        summary = json.loads((Path(folder) / SUMMARY).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and "asked" in summary and summary.get("complete") is False


def rejected_before(folder: Path) -> list[dict[str, Any]]:
    """The rows that ``inscl refine`` set aside when it wrote `folder`; none if it wrote none there.

    Raises:
        DataError: They can't be read.
    """
    file = folder / REJECTED
    if not (folder / SUMMARY).is_file() or not file.is_file() or not file.stat().st_size:
        return []
    try:
        return [json.loads(line) for line in read_bytes(file).splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"is not as `inscl refine` wrote it: {error}; refine the data again", file) from error


def refine_split(steps: Sequence[Step], train: Sequence[Example], tested: LeakCheck) -> RefinedSplit:
    """Refine the train split of a task.

    A row that a refiner made and that gives a test example away is rejected, whatever the settings say of leaks.

    Args:
        steps: The refiners, each working on what the one before it left.
        train: The examples.
        tested: The test examples of the stream.

    Raises:
        InsclError: A refiner is broken: it left a row out, told of one that it wasn't given, rejected one without a
            reason, or the like.
    """
    current = tuple((example, place) for place, example in enumerate(train))
    rejected: list[tuple[int, Mapping[str, Any]]] = []
    counts, unchanged = [], []
    for step in steps:
        given = [example for example, _ in current]
        done = _Step(step, tested, given)
        for (example, place), outcome in zip(current, _outcomes(step, given), strict=True):
            done.settle(example, place, outcome)
        current = tuple(done.examples)
        rejected += done.rejected
        unchanged += done.unchanged
        counts.append((step.name, {what: done.counts[what] for what in ("kept", "replaced", "added", "rejected")}))
    return RefinedSplit(current, tuple(rejected), tuple(counts), tuple(unchanged))


class _Step:
    """One step over one split, while it goes on; `counts` are rows: those given, and those added."""

    def __init__(self, step: Step, tested: LeakCheck, given: Sequence[Example]) -> None:
        self.step, self.tested = step, tested
        self.older: defaultdict[str, list[str]] = defaultdict(list)
        for example in given:
            self.older[example.id] += parents_of(example.provenance)
        self.examples: list[tuple[Example, int]] = []
        self.rejected: list[tuple[int, Mapping[str, Any]]] = []
        self.unchanged: list[tuple[int, Mapping[str, Any]]] = []
        self.counts: Counter[str] = Counter()

    def settle(self, original: Example, place: int, outcome: Refined) -> None:
        """Take over what became of an example."""
        stays = outcome.outcome in ("kept", "added")
        if stays:
            self.examples.append((original, place))
            self.counts["kept"] += 1
            if outcome.reason:
                told = {"id": original.id, "reason": outcome.reason, "refiner": self.step.name}
                more = {"made": len(outcome.made)} if outcome.made else {}
                self.unchanged.append((place, {**outcome.facts, **told, **more}))
        elif outcome.outcome == "rejected":
            self._reject(original, place, outcome.reason, outcome.facts)
        else:
            self._set_aside(original, place, "replaced by what the refiner made of it", {})
        made = 0
        for one in outcome.made:
            provenance = self.step.provenance(original, one, self.older)
            example = replace(one.example, task=original.task, provenance=provenance)
            if leak := self.tested.reason(example, original):
                self._reject(example, place, leak, {})
                continue
            self.examples.append((example, place))
            made += 1
        if outcome.outcome == "replaced":
            self.counts["replaced"] += bool(made)
        self.counts["added"] += made if stays else max(0, made - 1)

    def _reject(self, example: Example, place: int, reason: str, facts: Mapping[str, Any]) -> None:
        self.counts["rejected"] += 1
        self._set_aside(example, place, reason, facts)

    def _set_aside(self, example: Example, place: int, reason: str, facts: Mapping[str, Any]) -> None:
        by = {"refiner": self.step.name, "parameters": self.step.fingerprint}
        told = {"id": example.id, "reason": reason, **by, "row": example.to_json()}
        self.rejected.append((place, {**facts, **told}))


def _outcomes(step: Step, given: Sequence[Example]) -> list[Refined]:
    """One outcome for each example, in order; anything else is a defect of the refiner."""
    outcomes, ids = list(step.refiner.refine(given)), {example.id for example in given}
    if len(outcomes) != len(given):
        told = f"it told of {len(outcomes)} of {len(given)} examples"
        raise InsclError(f"the refiner {step.name!r} is broken: {told}; each must be kept, replaced or rejected")
    for place, (example, outcome) in enumerate(zip(given, outcomes, strict=True)):
        wrong = ""
        if outcome.original.id != example.id:
            wrong = "it told of another example than the one that was next"
        elif outcome.outcome == "rejected" and not outcome.reason.strip():
            wrong = "it rejected one without a reason"
        elif outcome.outcome in ("replaced", "added") and not outcome.made:
            wrong = f"it says {outcome.outcome!r} and made nothing"
        elif any(not one.example.outputs or not one.example.instruction.strip() for one in outcome.made):
            wrong = "it made an example without an instruction or an answer"
        elif not ids.issuperset(parent for one in outcome.made for parent in one.parents):
            wrong = "it names a parent that it wasn't given"
        if wrong:
            raise InsclError(f"the refiner {step.name!r} is broken: {wrong} (example {place + 1} of {len(given)})")
    return outcomes
