"""What a run took: tokens, seconds, the share of replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inscl.storage.run.finished_run import Run

__all__ = ["Cost", "costs"]


@dataclass(frozen=True)
class Cost:
    """What one stage took, or all of them (`stage` 0); None where it wasn't recorded. Seconds are wall time."""

    stage: int
    task: str
    tokens: int | None
    replay_tokens: int | None
    plan: float | None
    train: float | None
    evaluate: float | None

    @property
    def share(self) -> float | None:
        """Replay's part of the tokens, percent."""
        return None if not self.tokens or self.replay_tokens is None else 100 * self.replay_tokens / self.tokens


def costs(run: Run) -> list[Cost]:
    """A line a stage that was learned, then the sum; empty where nothing was recorded."""
    lines = []
    for stage in run.stages:
        seconds = stage.seconds or {}
        if stage.learned is None and not seconds:
            continue
        learned = stage.learned
        train = seconds.get("train", learned.seconds if learned else None)
        tokens, replayed = (learned.tokens, learned.replay_tokens) if learned else (None, None)
        lines.append(
            Cost(stage.number, stage.task, tokens, replayed, seconds.get("plan"), train, seconds.get("evaluate"))
        )
    if not lines:
        return []
    names = ("tokens", "replay_tokens", "plan", "train", "evaluate")
    sums: dict[str, Any] = {name: _sum([getattr(line, name) for line in lines]) for name in names}
    return [*lines, Cost(0, "in all", **sums)]


def _sum(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
