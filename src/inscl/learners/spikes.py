r"""Loss spikes: a stage whose training goes wrong is told while it happens, and may begin again with half the rate.

With :math:`\bar\ell_{first}` the mean loss of the first 16 steps of a stage and :math:`\bar\ell_{now}` that of the last
16, the loss spikes at the step where :math:`\bar\ell_{now}` rises above :math:`1.5\,\bar\ell_{first} + 0.5` nats: the
model has become much worse than it was when the stage began. It can spike again once it has come down. The rule and its
numbers are designed here. A stage of fewer than 32 steps is never said to spike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inscl.errors import ModelError

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from inscl.contract.seams import Progress

__all__ = ["WINDOW", "LossSpike", "spike_watch", "spikes_of"]

WINDOW = 16
"""Steps whose losses are averaged."""


class LossSpike(ModelError):
    """Training was stopped since its loss spiked.

    Attributes:
        step: Where.
        loss: Mean of the last steps, nats per answer token.
    """

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(f"the training loss spiked to {loss:.3f} at step {step}; lower training.learning_rate")
        self.step, self.loss = step, loss


def spikes_of(losses: Sequence[float]) -> list[dict[str, float]]:
    """Where the loss of a stage spikes: ``step`` (from 1), mean ``loss`` there and at the ``first`` steps.

    Args:
        losses: One a step, from the first on, nats per answer token.
    """
    found: list[dict[str, float]] = []
    first, high = sum(losses[:WINDOW]) / WINDOW, False
    for step in range(2 * WINDOW, len(losses) + 1):
        recent = sum(losses[step - WINDOW : step]) / WINDOW
        above = recent > 1.5 * first + 0.5
        if above and not high:
            found.append({"step": step, "loss": round(recent, 4), "first": round(first, 4)})
        high = above
    return found


def spike_watch(rows: Sequence[dict[str, Any]], progress: Progress, stop: bool) -> TrainerCallback:
    """A Trainer callback that tells `progress` of a spike; it comes after the one that fills `rows`.

    Args:
        rows: The stage's log so far.
        progress: Who is told.
        stop: Whether a spike ends the training.

    Raises:
        LossSpike: From within training, if `stop`.
    """
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
        told = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.told = len(spikes_of([row["loss"] for row in rows]))

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            found = spikes_of([row["loss"] for row in rows])
            if len(found) <= self.told:
                return
            self.told, last = len(found), found[-1]
            if stop:
                raise LossSpike(int(last["step"]), last["loss"])
            progress.note(
                f"the training loss has risen to {last['loss']:.2f}, from {last['first']:.2f} when the stage began: "
                "this stage may have diverged; training.params.restarts begins such a stage again with half the rate"
            )

    return Watch()
