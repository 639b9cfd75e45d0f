r"""Loss spikes: a stage whose training goes wrong is told while it happens, and may go back with half the rate.

With :math:`\bar\ell_{first}` the mean loss of the first 16 steps of a stage and :math:`\bar\ell_{now}` that of the last
16, the loss spikes at the step where :math:`\bar\ell_{now}` rises above :math:`1.5\,\bar\ell_{first} + 0.5` nats: the
model has become much worse than it was when the stage began. It can spike again once it has come down. A stage of fewer
than 32 steps is never said to spike.

A stage that may go back keeps a checkpoint at every 64th step. From a spike it goes to the last of them that lies 16
steps or more before, since the losses averaged there went wrong after it; where there is none, to its beginning. All
batches from there on are learned again, in the same order, so no example is left out. The rule and its numbers are
designed here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inscl.errors import ModelError

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from inscl.contract.seams import Progress

__all__ = ["MARK", "WINDOW", "LossSpike", "spike_watch", "spikes_of"]

WINDOW = 16
"""Steps whose losses are averaged."""

MARK = 4 * WINDOW
"""Steps between two places that a stage may go back to."""


class LossSpike(ModelError):
    """Training was stopped since its loss spiked.

    Attributes:
        step: Where.
        loss: Mean of the last steps, nats per answer token; None where the loss was no longer a finite number.
    """

    def __init__(self, step: int, loss: float | None) -> None:
        what = "is no longer a finite number" if loss is None else f"spiked to {loss:.3f}"
        super().__init__(f"the training loss {what} at step {step}; lower training.learning_rate")
        self.step, self.loss = step, loss


def spikes_of(losses: Sequence[float]) -> list[dict[str, float]]:
    """Where the loss of a stage spikes: ``step`` (from 1), mean ``loss`` there and at the ``first`` steps.

    Args:
        losses: One a step, from the first on, nats per answer token.
    """
    seen = _Seen()
    return [found for loss in losses if (found := seen.add(loss))]


class _Seen:
    """The losses of a stage so far, of which the last ones alone are looked at."""

    def __init__(self) -> None:
        self.steps, self.first, self.high = 0, math.nan, False
        self.last: deque[float] = deque(maxlen=WINDOW)

    def add(self, loss: float) -> dict[str, float] | None:
        """Count the loss of the next step; what `spikes_of` says of it if the loss spikes there."""
        self.steps += 1
        self.last.append(loss)
        recent = sum(self.last) / WINDOW
        if self.steps == WINDOW:
            self.first = recent
        if self.steps < 2 * WINDOW:
            return None
        before, self.high = self.high, recent > 1.5 * self.first + 0.5
        rises = self.high and not before
        return {"step": self.steps, "loss": round(recent, 4), "first": round(self.first, 4)} if rises else None


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
        seen = _Seen()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            for row in rows:  # of the training that this one goes on from
                self.seen.add(row["loss"])

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            new = [self.seen.add(row["loss"]) for row in rows[self.seen.steps :]]
            if not (found := [one for one in new if one]):
                return
            last = found[-1]
            if stop:
                raise LossSpike(int(last["step"]), last["loss"])
            progress.note(
                f"the training loss has risen to {last['loss']:.2f}, from {last['first']:.2f} when the stage began: "
                "this stage may have diverged; training.params.restarts takes such a stage back with half the rate"
            )

    return Watch()
