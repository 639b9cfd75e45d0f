"""Facts of each optimiser step: rows of ``train_log.jsonl``, and updates for the progress display."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Protocol

from inscl.errors import DivergedError
from inscl.learners.spikes import LossSpike

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from inscl.contract.seams import Progress

__all__ = ["training_log"]


class Begun(Protocol):
    """What knows when a training began; one that goes on from a checkpoint began before this process."""

    begun: float


def training_log(
    rows: list[dict[str, Any]], progress: Progress, training: Begun, guarded: bool = False
) -> TrainerCallback:
    """A Trainer callback that appends a row a step to `rows` and tells `progress`.

    A row is ``step``, ``loss`` (nats per answer token), ``learning_rate``, ``tokens`` (seen so far, without padding)
    and ``seconds`` (since training began).

    Raises:
        DivergedError: From within training, when the loss is no longer a finite number; a `LossSpike` if `guarded`.
    """
    from transformers import TrainerCallback

    class TrainingLog(TrainerCallback):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.phase("train", state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if not logs or "loss" not in logs:
                return
            loss, seconds = float(logs["loss"]), time.perf_counter() - training.begun
            if not math.isfinite(loss) and guarded:
                raise LossSpike(state.global_step, None)
            if not math.isfinite(loss):
                raise DivergedError(f"training diverged: loss {loss} at step {state.global_step}; lower learning_rate")
            tokens = int(state.num_input_tokens_seen)
            row = {"step": state.global_step, "loss": loss, "learning_rate": logs.get("learning_rate")}
            rows.append({**row, "tokens": tokens, "seconds": round(seconds, 3)})
            progress.advance(state.global_step, loss=loss, tokens_per_second=tokens / max(seconds, 1e-9))

    return TrainingLog()
