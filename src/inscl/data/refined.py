"""Refiners at work on the train split of a task: everything is accounted for, and nothing of a test split gets in."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from inscl.config import kinds
from inscl.contract import Example
from inscl.contract.refined import Made, Refined, parents_of
from inscl.contract.seams import Refiner
from inscl.contract.traits import RefinerTraits, traits_of
from inscl.data.contents import content_of
from inscl.data.readers.rows import read_bytes
from inscl.errors import ConfigError, DataError, InsclError, Problem

__all__ = [
    "REJECTED",
    "SUMMARY",
    "RefinedSplit",
    "Step",
    "is_unfinished",
    "refine_split",
    "rejected_before",
    "steps_of",
]

REJECTED, SUMMARY = "rejected.jsonl", "refine.json"
"""Files of a folder that ``inscl refine`` wrote: the rows that aren't learned any more, and what was done."""


@dataclass(frozen=True)
class Step:
    """A refiner with all that provenance says of it.

    Attributes:
        name: Its registered name; of an object that was passed in, the name of its class.
        refiner: The refiner.
        parameters: Its parameters, defaults included.
    """

    name: str
    refiner: Refiner
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of its method."""
        return traits_of(self.refiner, RefinerTraits).version

    @property
    def fingerprint(self) -> str:
        """64-bit hex digest of name, version and parameters."""
        content = json.dumps([self.name, self.version, dict(self.parameters)], sort_keys=True, default=repr)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def provenance(self, original: Example, made: Made, older: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """What a row that it made says of itself; `older` are the parents of what it was given, by id."""
        parents = list(dict.fromkeys((original.id, *made.parents)))
        ancestors = [one for one in dict.fromkeys(chain(*(older[parent] for parent in parents))) if one not in parents]
        return {
            "parent": parents[0] if len(parents) == 1 else parents,
            **({"ancestors": ancestors} if ancestors else {}),
            "refiner": self.name,
            "version": self.version,
            "parameters": self.fingerprint,
            "how": made.how,
            **made.facts,
        }


@dataclass(frozen=True)
class RefinedSplit:
    """A train split after one step or several.

    Attributes:
        examples: What there is to learn from, each with the place of the row that it was or was made from.
        rejected: What isn't learned any more, rejected or replaced: the place, and ``id``, ``reason``, ``refiner``,
            ``row`` and what else is known.
        counts: For each step its name and how many rows were kept, replaced, added and rejected.
    """

    examples: tuple[tuple[Example, int], ...]
    rejected: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    counts: tuple[tuple[str, Mapping[str, int]], ...] = ()

    def findings(self, task: str) -> list[str]:
        """One line for each step."""
        return [
            f"{task}, refined by {name}: {', '.join(f'{count} {what}' for what, count in counts.items())}"
            for name, counts in self.counts
        ]


def steps_of(specifications: Sequence[Any], key: str = "stream.refine") -> tuple[Step, ...]:
    """Refiners by name, as mappings ``{name, params}``, or as objects, in the order in which they work.

    Raises:
        ConfigError: A name or parameter is wrong; all are told at once.
    """
    steps, problems = [], []
    for number, given in enumerate(specifications):
        try:
            steps.append(_step(given))
        except ConfigError as error:
            problems += [Problem(f"{key}[{number}]", str(problem)) for problem in error.problems]
        except InsclError as error:
            problems.append(Problem(f"{key}[{number}]", str(error)))
    if problems:
        raise ConfigError(problems)
    return tuple(steps)


def _step(given: Any) -> Step:
    if isinstance(given, Step):
        return given
    if hasattr(given, "refine"):
        return Step(type(given).__name__, given)
    name, params = (given.get("name"), given.get("params") or {}) if isinstance(given, Mapping) else (given, {})
    strange = set(given) - {"name", "params"} if isinstance(given, Mapping) else set()
    if not isinstance(name, str) or not isinstance(params, Mapping) or strange:
        raise ConfigError([Problem("", "the name of a refiner, or {name: ..., params: {...}}, was expected")])
    parameters = inspect.signature(kinds.load("refiners", name)).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
    return Step(name, kinds.create("refiners", name, params), {**defaults, **params})


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


def refine_split(steps: Sequence[Step], train: Sequence[Example], tested: Collection[str]) -> RefinedSplit:
    """Refine the train split of a task.

    A row that a refiner made and that says the same as a test example is rejected, whatever the settings say of leaks.

    Args:
        steps: The refiners, each working on what the one before it left.
        train: The examples.
        tested: `content_of` every test example of the stream.

    Raises:
        InsclError: A refiner is broken: it left a row out, told of one that it wasn't given, rejected one without a
            reason, or the like.
    """
    current = tuple((example, place) for place, example in enumerate(train))
    rejected: list[tuple[int, Mapping[str, Any]]] = []
    counts = []
    for step in steps:
        given = [example for example, _ in current]
        done = _Step(step, tested, given)
        for (example, place), outcome in zip(current, _outcomes(step, given), strict=True):
            done.settle(example, place, outcome)
        current = tuple(done.examples)
        rejected += done.rejected
        counts.append((step.name, {what: done.counts[what] for what in ("kept", "replaced", "added", "rejected")}))
    return RefinedSplit(current, tuple(rejected), tuple(counts))


class _Step:
    """One step over one split, while it goes on; `counts` are rows: those given, and those added."""

    def __init__(self, step: Step, tested: Collection[str], given: Sequence[Example]) -> None:
        self.step, self.tested = step, tested
        self.older: defaultdict[str, list[str]] = defaultdict(list)
        for example in given:
            self.older[example.id] += parents_of(example.provenance)
        self.examples: list[tuple[Example, int]] = []
        self.rejected: list[tuple[int, Mapping[str, Any]]] = []
        self.counts: Counter[str] = Counter()

    def settle(self, original: Example, place: int, outcome: Refined) -> None:
        """Take over what became of an example."""
        stays = outcome.outcome in ("kept", "added")
        if stays:
            self.examples.append((original, place))
            self.counts["kept"] += 1
        elif outcome.outcome == "rejected":
            self._reject(original, place, outcome.reason, outcome.facts)
        else:
            self._set_aside(original, place, "replaced by what the refiner made of it", {})
        made = 0
        for one in outcome.made:
            provenance = self.step.provenance(original, one, self.older)
            example = replace(one.example, task=original.task, provenance=provenance)
            if content_of(example) in self.tested:
                self._reject(example, place, "what the refiner made says the same as a test example", {})
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
        told = {"id": example.id, "reason": reason, "refiner": self.step.name, "row": example.to_json()}
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
