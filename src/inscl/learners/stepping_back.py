r"""At the end of a stage, a step back towards where the stage began.

.. math:: \theta \leftarrow \theta_{start} + \epsilon\,(\theta - \theta_{start})

This is the outer step of Reptile (arXiv 1803.02999), as replay with Reptile uses it (MER, arXiv 1810.11910); here once,
at the end of a stage. A small :math:`\epsilon` keeps more of the earlier tasks and less of the new one. It can be
given, or chosen from several by the loss on train rows that this stage didn't train on: the mean over those of the new
task and the mean over those of earlier tasks count alike. Test rows are never read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract.objective import TaughtExample
from inscl.errors import ConfigError, Problem
from inscl.learners.averaging import trained_weights

__all__ = ["SteppingBack"]


@dataclass(frozen=True)
class SteppingBack:
    r"""How far the step back goes.

    Attributes:
        epsilon: One value, or those to choose from; above 0 and at most 1, where 1 changes nothing.
        held_back: Share of the new and of the replayed rows that :math:`\epsilon` is chosen on and that aren't trained
            on at this stage; at least one of each where there are two or more. Not used for one value.

    Raises:
        ConfigError: A value can't be.
    """

    epsilon: float | Sequence[float] = (0.25, 0.5, 0.75, 1.0)
    held_back: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what can't be."""
        problems = []
        if not self.choices or not all(0 < one <= 1 for one in self.choices):
            problems.append(Problem("training.params.step_back", "its epsilon must be above 0 and at most 1"))
        if not 0 < self.held_back < 1:
            problems.append(Problem("training.params.step_back", "its held_back must be above 0 and below 1"))
        if problems:
            raise ConfigError(problems)

    @property
    def choices(self) -> tuple[float, ...]:
        """The values to choose from."""
        given = self.epsilon
        return (float(given),) if isinstance(given, (int, float)) else tuple(map(float, given))

    def split(self, examples: Sequence[TaughtExample]) -> tuple[list[TaughtExample], list[TaughtExample]]:
        """Which examples are trained on, and which are held back to choose by; the ids decide, not chance.

        What is held back isn't trained on as a copy either, as where a row comes twice or `repeat` fills the budget.
        """
        held: set[str] = set()
        for replayed in (False, True) if len(self.choices) > 1 else ():
            mine = {one.example.id for one in examples if one.replayed is replayed and one.example is not None}
            count = min(len(mine) - 1, max(1, round(self.held_back * len(mine))))
            held.update(sorted(mine, key=_order)[: max(0, count)])
        back = [one.example is not None and one.example.id in held for one in examples]
        trained = [one for one, out in zip(examples, back, strict=True) if not out]
        return trained, [one for one, out in zip(examples, back, strict=True) if out]

    def step(
        self,
        network: Any,
        start: Mapping[str, Any],
        held: Sequence[TaughtExample],
        losses: Callable[[Sequence[TaughtExample]], Sequence[float]],
    ) -> dict[str, Any]:
        """Take the step; returns what is recorded of it: the value, and the loss of every one that was tried.

        Args:
            network: The model after its stage.
            start: The weights that it trained, as they were before.
            held: What `split` held back.
            losses: The loss of each example under the model as it is, nats per answer token.
        """
        end = {name: weight.detach().clone() for name, weight in trained_weights(network).items()}
        chosen, tried = self.choices[-1], {}
        if len(self.choices) > 1 and held:
            for epsilon in self.choices:
                _move(network, start, end, epsilon)
                tried[epsilon] = _alike(held, losses(held))
            # The longest step of those that are equally good.
            chosen = min(sorted(tried, reverse=True), key=lambda epsilon: tried[epsilon])
        elif len(self.choices) > 1:
            chosen = max(self.choices)  # nothing to choose by
        _move(network, start, end, chosen)
        return {
            "epsilon": chosen,
            "epsilon_losses": {str(epsilon): round(loss, 6) for epsilon, loss in tried.items()},
            "held_back": len(held),
        }


def _alike(held: Sequence[TaughtExample], losses: Sequence[float]) -> float:
    """The mean of the mean over new and the mean over old rows; of one of them where there are no others."""
    parts = [[loss for one, loss in zip(held, losses, strict=True) if one.replayed is old] for old in (False, True)]
    means = [sum(part) / len(part) for part in parts if part]
    return sum(means) / len(means)


def _move(network: Any, start: Mapping[str, Any], end: Mapping[str, Any], epsilon: float) -> None:
    import torch

    with torch.no_grad():
        for name, weight in trained_weights(network).items():
            weight.copy_(torch.lerp(start[name], end[name], epsilon) if epsilon < 1 else end[name])


def _order(identity: str) -> str:
    return hashlib.sha256(f"held back/{identity}".encode()).hexdigest()
