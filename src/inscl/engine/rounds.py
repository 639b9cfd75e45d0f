"""A stage that is learned in parts, before each of which the strategy is asked again (trait `rounds`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import Pick, ReplayPlan, TaskShare
from inscl.contract.seams import Learner, LearnReport, ReplayStrategy, Resumable
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.storage.files.atomic import read_json, write_json

__all__ = ["InRounds", "rounds_of"]

_REVISED = "revised.json"
"""In the folder ``progress`` of a stage: the plan that its rounds came to."""


def rounds_of(strategy: ReplayStrategy, memory: Memory) -> int:
    """In how many parts a stage is learned: one where there is nothing to rehearse yet."""
    return traits_of(strategy, StrategyTraits).rounds if memory.tasks else 1


@dataclass
class InRounds:
    """A learner that is taught a task in parts; everything else it does is the learner's own.

    The train split of the task is shuffled and dealt into as many parts as there are rounds, and so is the budget. The
    first round rehearses a random part of the plan that was made before the stage. Before every later one the strategy
    plans anew, with the model as it is by then. Epochs are passes over a part. An example may be rehearsed in several
    rounds, and counts each time.

    Attributes:
        learner: The one that learns.
        strategy: What plans.
        memory: What may be replayed.
        budget: Of the whole stage.
        rounds: Parts at most; a task has no more than it has examples.
        seed: With which tasks and plans are dealt.
        log: Rows of all rounds' ``train_log.jsonl``, counted on, with their ``round``.
    """

    learner: Learner
    strategy: ReplayStrategy
    memory: Memory
    budget: Budget
    rounds: int
    seed: Sequence[int]
    log: list[dict[str, Any]] = field(default_factory=list, init=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["learner"], name)

    @property
    def progress_dir(self) -> Path | None:
        """Where the learner keeps what it has finished, and the rounds what they came to."""
        return cast(Resumable, self.learner).progress_dir

    @progress_dir.setter
    def progress_dir(self, folder: Path | None) -> None:
        cast(Resumable, self.learner).progress_dir = folder

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Learn `task` round after round; `plan` is what the strategy chose before the first."""
        rng = np.random.default_rng(self.seed)
        parts = np.array_split(rng.permutation(len(task.train)), min(self.rounds, max(1, len(task.train))))
        reports: list[LearnReport] = []
        plans: list[ReplayPlan] = []
        self.log = []
        for number, places in enumerate(parts, start=1):
            part = replace(task, train=tuple(task.examples_at(places.tolist())))
            piece = self._piece(task, number, len(parts))
            plans.append(_drawn(plan, piece, rng) if number == 1 else self.strategy.plan(self.memory, part, piece, rng))
            reports.append(self.learner.learn(part, plans[-1]))
            self._log(number)
        revised = _joined(plan, plans)
        if self.progress_dir is not None:
            kept = {"plan": revised.to_json(), "picks": [pick.to_json() for pick in revised.picks]}
            write_json(self.progress_dir / _REVISED, kept)
        return _summed(reports)

    @staticmethod
    def revised(progress: Path) -> ReplayPlan | None:
        """What was rehearsed in all rounds of the stage that keeps its progress there; None where nothing is kept."""
        if not (progress / _REVISED).is_file():
            return None
        kept = read_json(progress / _REVISED)
        return ReplayPlan.from_json(kept["plan"], kept["picks"])

    def _piece(self, task: Task, number: int, rounds: int) -> Budget:
        tokens = self.budget.tokens
        whole = self.budget.examples(self.memory, task) if tokens is None else tokens
        piece = whole * number // rounds - whole * (number - 1) // rounds
        kind = "total" if tokens is None else "tokens"
        return Budget(count_tokens=self.budget.count_tokens, **{kind: piece})

    def _log(self, number: int) -> None:
        before: Mapping[str, Any] = self.log[-1] if self.log else {}
        for row in getattr(self.learner, "log", ()):
            on = {name: row[name] + before.get(name, 0) for name in ("step", "tokens", "seconds") if name in row}
            self.log.append({**row, **on, "round": number})


def _drawn(plan: ReplayPlan, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
    """A random part of a plan that fits `budget`, in the plan's order."""
    taken: list[int] = []
    left = budget.total if budget.tokens is None else budget.tokens
    for place in rng.permutation(len(plan.picks)).tolist():
        cost = 1 if budget.tokens is None else budget.count_tokens(plan.picks[place].example)
        if cost <= (left or 0):
            taken.append(place)
            left = (left or 0) - cost
    picks = [plan.picks[place] for place in sorted(taken)]
    return replace(plan, picks=tuple(picks), shares=_shares([plan], picks))


def _joined(plan: ReplayPlan, rounds: Sequence[ReplayPlan]) -> ReplayPlan:
    """One plan of all that was rehearsed: by task, in the order of the rounds."""
    picks = [
        replace(pick, reason={**pick.reason, "round": number})
        for number, made in enumerate(rounds, start=1)
        for pick in made.picks
    ]
    places = {share.task: place for place, share in enumerate(plan.shares)}
    picks.sort(key=lambda pick: places.get(pick.task, len(places)))
    shares = _shares(rounds, picks)
    given = {share.task: share.allocation for share in shares}
    picks = [replace(pick, allocation=given[pick.task]) for pick in picks]
    notes = tuple(dict.fromkeys(note for made in rounds for note in made.notes))
    said = f"planned anew within the stage: {len(rounds)} rounds"
    return replace(plan, picks=tuple(picks), shares=shares, notes=(*notes, said))


def _shares(plans: Sequence[ReplayPlan], picks: Sequence[Pick]) -> tuple[TaskShare, ...]:
    """The shares of `plans`, with what `picks` took of each task and instruction; reasons of several are in a list."""
    found = []
    for share in plans[0].shares:
        mine = [pick for pick in picks if pick.task == share.task]
        each = [next(one for one in made.shares if one.task == share.task) for made in plans]
        listed = {one.instruction: one for made in each for one in made.instructions}
        instructions = tuple(
            replace(one, picked=sum(pick.example.instruction == text for pick in mine)) for text, one in listed.items()
        )
        reason = dict(each[-1].reason)
        if len(each) > 1:
            reason["rounds"] = [dict(one.reason) for one in each]
        found.append(replace(share, allocation=len(mine), instructions=instructions, reason=reason))
    return tuple(found)


def _summed(reports: Sequence[LearnReport]) -> LearnReport:
    """What all rounds took; the loss is that of all answer tokens."""
    added = ("steps", "examples", "replayed", "tokens", "answer_tokens", "replay_tokens", "seconds", "truncated")
    sums: dict[str, Any] = {name: sum(getattr(one, name) for one in reports) for name in added}
    loss = sum(one.loss * one.answer_tokens for one in reports) / max(1, sums["answer_tokens"])
    visits: dict[str, tuple[float, float]] = {}
    for one in reports:
        for key, (first, last) in one.visits.items():
            visits[key] = (visits[key][0] if key in visits else first, last)
    return LearnReport(**sums, loss=loss, visits=visits, facts={"rounds": [dict(one.facts) for one in reports]})
