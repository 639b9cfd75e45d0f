"""KPIG-style replay: rehearse the tasks whose key instructions the model heeds least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.key_parts import KEY_PARTS, MASK, key_part_choices
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Tagger
from inscl.contract.traits import StrategyTraits
from inscl.errors import ConfigError, ModelError, Problem, nearest
from inscl.replay.equal_shares import plan_positions
from inscl.replay.shares.allocation import allocate
from inscl.replay.shares.selection import select_uniformly
from inscl.replay.shares.tokens import select_within_tokens
from inscl.tagging.costliest_parts import costliest_parts

__all__ = ["KPIG", "PARTS"]

PARTS = ("likelihood", "tagger")


class KPIG:
    r"""The earlier tasks with the lowest information gain of their instructions' key parts (after KPIG).

    The gain of an example says how much likelier the key parts of its instruction make its answer:

    .. math:: IG(x, y) = \frac{1}{|y|} \sum_t \ln \frac{p(y_t \mid I, x, y_{<t})}{p(y_t \mid \tilde I, x, y_{<t})}

    with :math:`\tilde I` the instruction with its key parts masked. A task's gain is the mean over a sample. The model
    ignores the key parts of a task with a low gain, so the tasks with the lowest are rehearsed and share the budget
    equally; the others get only what those can't hold. Within a task examples are drawn uniformly.

    After *Don't Half-listen* (arXiv 2403.10056), of which the full text and code weren't at hand. That key parts are
    masked and that the gain chooses the tasks is confirmed. Reconstructed are: the equation; that the lowest gain is
    replayed; the number of tasks; equal shares of our budget in place of a fixed number of examples; uniform draws; how
    key parts are found; the mask; and when gains are computed: before each stage, and within it if `rounds` says so.
    The paper's rewritten instructions are left out.

    Args:
        losses: n examples to n losses under the current model, nats per answer token, shape (n,).
        tagger: Finds key parts, if `parts` says so.
        tasks: How many tasks are rehearsed, M.
        sample: Most examples of a task that its gain is computed from, the same at each stage.
        parts: ``likelihood`` masks each clause of an instruction by itself and takes the one whose masking costs most
            likelihood of the sampled answers; ``tagger`` masks those tags of the configured tagger that occur literally
            in the instruction, as those of the tagger ``key_parts`` do; where the tagger finds none, clauses are
            compared. Key parts named in the metadata ``key_parts`` of examples come first.
        candidates: Most clauses of an instruction that are compared, the longest.
        mask: What stands in place of a key part.
        rounds: In how many parts a stage is learned. Before each, gains are computed anew with the model as it is by
            then, and other tasks may be chosen; each part has its part of the budget.

    Raises:
        ConfigError: A value can't be.
    """

    traits = StrategyTraits(added=("rounds",))

    def __init__(
        self,
        losses: Callable[[Sequence[Example]], NDArray[Any]],
        tagger: Tagger | None = None,
        tasks: int = 5,
        sample: int = 16,
        parts: str = "likelihood",
        candidates: int = 4,
        mask: str = MASK,
        rounds: int = 1,
    ) -> None:
        counts = {"tasks": tasks, "sample": sample, "candidates": candidates, "rounds": rounds}
        problems = [Problem(key, f"must be at least 1, got {value}") for key, value in counts.items() if value < 1]
        if parts not in PARTS:
            problems.append(Problem("parts", f"no way {parts!r} to find key parts{nearest(str(parts), PARTS)}"))
        elif parts == "tagger" and tagger is None:
            problems.append(Problem("parts", "finding key parts by a tagger needs one"))
        if problems:
            raise ConfigError(problems, "strategy kpig")
        self.losses, self.tagger, self.tasks, self.sample = losses, tagger, tasks, sample
        self.parts, self.candidates, self.mask = parts, candidates, mask
        self.traits = replace(self.traits, rounds=rounds)

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Equal shares of the tasks with the lowest gain; picks and shares tell gains and ranks, 1 being the lowest.

        Raises:
            ConfigError: `losses` returned another number of values than examples.
            ModelError: A loss is not a finite number.
        """
        found = [self.gain_of(task) for task in memory.tasks]
        known = [j for j, gain in enumerate(found) if gain is not None]
        ranks = {j: rank for rank, j in enumerate(sorted(known, key=lambda j: _value(found[j])), start=1)}
        weights = np.array([float(ranks.get(j, self.tasks + 1) <= self.tasks) for j in range(len(memory))])

        def select(task: Task, count: int) -> list[int]:
            return select_uniformly(task, count, rng)

        if budget.tokens is not None:
            positions = select_within_tokens(memory.tasks, weights, budget, select, rng)
        else:
            capacity = [len(task.train) for task in memory.tasks]
            allocation = allocate(weights, budget.examples(memory, new_task), capacity)
            positions = [select(task, int(n)) for task, n in zip(memory.tasks, allocation, strict=True)]
        reasons = {
            task.name: {"information_gain": round(gain.mean, 6), "gain_rank": ranks[j], "masked": list(gain.parts)}
            for j, (task, gain) in enumerate(zip(memory.tasks, found, strict=True))
            if gain is not None
        }
        notes = [f"{task.name}: no key part was found" for task in memory.tasks if task.name not in reasons]
        names = ("tasks", "sample", "parts", "candidates", "mask")
        parameters = {name: getattr(self, name) for name in names}
        if self.traits.rounds > 1:
            parameters["rounds"] = self.traits.rounds
        made = plan_positions(
            "kpig", memory, new_task, budget, positions, weights=weights, parameters=parameters, notes=notes
        )
        return _with_reasons(made, reasons)

    def gain_of(self, task: Task) -> Gain | None:
        """The information gain of a task; None if no key part is found in any sampled instruction.

        Raises:
            ConfigError: `losses` returned another number of values than examples.
            ModelError: A loss is not a finite number.
        """
        examples = task.examples_at(int(k) for k in np.argsort(task.train_ids, kind="stable")[: self.sample])
        choices = self._choices(examples)
        found = costliest_parts(examples, choices, lambda asked: self._losses(task, asked), self.mask).values()
        if not found:
            return None
        chosen = dict.fromkeys(part for heeded in found for part in heeded.parts)
        return Gain(float(np.mean([gain for heeded in found for gain in heeded.gains])), tuple(chosen))

    def _choices(self, examples: Sequence[Example]) -> list[list[tuple[str, ...]]]:
        if self.parts == "likelihood" or self.tagger is None:
            return [key_part_choices(example, self.candidates) for example in examples]
        texts = list(dict.fromkeys(example.instruction for example in examples))
        tags = dict(zip(texts, self.tagger(texts), strict=True))
        # What the data name comes first, as in `key_part_choices`; where the tagger finds nothing, clauses compete.
        named = {text: {KEY_PARTS: list(found)} if found else {} for text, found in tags.items()}
        tagged = [replace(one, metadata={**named[one.instruction], **one.metadata}) for one in examples]
        return [key_part_choices(example, self.candidates) for example in tagged]

    def _losses(self, task: Task, examples: Sequence[Example]) -> NDArray[np.float64]:
        losses = np.asarray(self.losses(examples), dtype=np.float64)
        if losses.shape != (len(examples),):
            raise ConfigError([Problem("losses", f"must return shape ({len(examples)},), got {losses.shape}")])
        if not np.isfinite(losses).all():
            raise ModelError(
                f"a loss on task {task.name!r} is not a finite number: the model has diverged; train it anew"
            )
        return losses


@dataclass(frozen=True)
class Gain:
    """What the key parts of a task's instructions are worth.

    Attributes:
        mean: Of the gain over the sampled examples, nats per answer token.
        parts: What was masked.
    """

    mean: float
    parts: tuple[str, ...]


def _value(gain: Gain | None) -> float:
    return float("inf") if gain is None else gain.mean


def _with_reasons(plan: ReplayPlan, reasons: dict[str, dict[str, Any]]) -> ReplayPlan:
    """The plan with what is known of each task at its picks and its share."""
    short = {task: {key: value for key, value in why.items() if key != "masked"} for task, why in reasons.items()}
    picks = tuple(replace(pick, reason={**pick.reason, **short.get(pick.task, {})}) for pick in plan.picks)
    shares = tuple(replace(share, reason={**share.reason, **reasons.get(share.task, {})}) for share in plan.shares)
    return replace(plan, picks=picks, shares=shares)
