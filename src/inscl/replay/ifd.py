"""IFD: replay what the model being taught finds hardest to follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.errors import ConfigError, Problem
from inscl.replay.equal_shares import plan_positions, select_equal_shares
from inscl.replay.shares.losses import checked_losses
from inscl.replay.shares.selection import select_uniformly

__all__ = ["HighestIFD"]


class HighestIFD:
    r"""The examples with the highest instruction-following difficulty in a random pool; equal shares of earlier tasks.

    .. math:: \mathrm{IFD}(y \mid x) = \exp(L(y \mid x) - L(y))

    (Li et al., arXiv 2308.12032.) :math:`L` is the mean loss of the answer's tokens in nats under the model as it is
    now, after the question and after an empty one. Where an answer is hard only because it is long or rare, both losses
    are high; IFD is high where the *instruction* doesn't help. At `most` and above, instruction and answer don't fit,
    and such examples are taken last. Ranking replay by IFD is designed here; the paper selects training data by it.

    Args:
        losses: n examples to n losses under the current model, nats per answer token, shape (n,).
        candidates: Size of the pool, in shares.
        most: From which IFD on an example is taken only where there is no other.

    Raises:
        ConfigError: A parameter is out of range.
    """

    def __init__(
        self, losses: Callable[[Sequence[Example]], NDArray[Any]], candidates: int = 4, most: float = 1.0
    ) -> None:
        problems = [] if candidates >= 1 else [Problem("candidates", f"must be at least 1, got {candidates}")]
        problems += [] if most > 0 else [Problem("most", f"must be above 0, got {most}")]
        if problems:
            raise ConfigError(problems, "strategy ifd")
        self.losses, self.candidates, self.most = losses, candidates, most

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Equal shares, highest IFD below `most` first; each pick's reason carries its ``ifd``.

        Raises:
            ConfigError: `losses` returned another number of values than examples.
            ModelError: A loss is not a finite number.
        """
        scored: dict[str, dict[str, float]] = {}

        def select(task: Task, count: int) -> list[int]:
            if count in (0, len(task.train)):
                return list(range(count))
            pool = select_uniformly(task, min(self.candidates * count, len(task.train)), rng)
            examples = task.examples_at(pool)
            ifd = self._ifd(task, examples)
            scored[task.name] = {example.id: float(one) for example, one in zip(examples, ifd, strict=True)}
            order = np.lexsort((-ifd, ifd >= self.most))
            return [pool[k] for k in order[:count]]

        positions = select_equal_shares(memory, new_task, budget, select, rng)
        notes = [_note(name, ifd) for name, ifd in scored.items()]
        parameters = {"candidates": self.candidates, "most": self.most}
        plan = plan_positions("ifd", memory, new_task, budget, positions, parameters=parameters, notes=notes)
        picks = []
        for pick in plan.picks:
            known = scored.get(pick.task, {}).get(pick.example.id)
            picks.append(pick if known is None else replace(pick, reason={**pick.reason, "ifd": round(known, 4)}))
        return replace(plan, picks=tuple(picks))

    def _ifd(self, task: Task, examples: Sequence[Example]) -> NDArray[np.float64]:
        alone = [Example("", "", example.outputs, example.task, options=example.options) for example in examples]
        losses = checked_losses(self.losses, task.name, [*examples, *alone])
        found: NDArray[np.float64] = np.exp(losses[: len(examples)] - losses[len(examples) :])
        return found


def _note(name: str, ifd: dict[str, float]) -> str:
    values = np.array(list(ifd.values()))
    return f"{name}: IFD of the pool's {len(values)} examples from {values.min():.4f} to {values.max():.4f}"
