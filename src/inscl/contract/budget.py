"""How much may be replayed at a stage."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from inscl.contract.example import Example
from inscl.contract.task import Memory, Task
from inscl.errors import ConfigError, Problem

__all__ = ["Budget", "count_words"]

_KINDS = ("per_task", "total", "share", "tokens")


def count_words(example: Example) -> int:
    """Words and punctuation marks of prompt and answer: the token count when no tokenizer is at hand."""
    return len(re.findall(r"\w+|[^\w\s]", f"{example.prompt} {example.output}"))


@dataclass(frozen=True)
class Budget:
    """How much may be replayed at one stage; exactly one of the four is set.

    Attributes:
        per_task: Examples for each earlier task: ``per_task * (i - 1)`` in all at stage i (InsCL, section 4.1).
        total: Examples in all, however many tasks there are.
        share: Examples as a share of the new task's train split, as in 0.5.
        tokens: Tokens of prompt and answer in all; never exceeded.
        count_tokens: How `tokens` are counted; words and punctuation unless a model's tokenizer is given.

    Raises:
        ConfigError: None or several are set, or a value is negative or not finite.
    """

    per_task: int | None = None
    total: int | None = None
    share: float | None = None
    tokens: int | None = None
    count_tokens: Callable[[Example], int] = count_words

    def __post_init__(self) -> None:
        given = {
            name: value
            for name in ("per_task", "total", "share", "tokens")
            if (value := getattr(self, name)) is not None
        }
        if len(given) != 1:
            said = ", ".join(given) or "none of them"
            raise ConfigError([Problem("budget", f"set exactly one of per_task, total, share, tokens (got {said})")])
        ((name, value),) = given.items()
        if not 0 <= value < float("inf"):
            raise ConfigError([Problem(f"budget.{name}", f"must be zero or more, got {value}")])

    @property
    def kind(self) -> str:
        """Which of the four is set."""
        return next(name for name in _KINDS if getattr(self, name) is not None)

    def examples(self, memory: Memory, new_task: Task) -> int:
        """Number of examples to replay when `new_task` comes after the tasks of `memory`.

        At most what the memory holds. A `share` is rounded to the nearest example, halves up. For a budget in tokens
        it is all there are: `inscl.replay.shares.tokens` takes them while they fit.
        """
        available = sum(len(task.train) for task in memory.tasks)
        if self.per_task is not None:
            wanted = self.per_task * len(memory.tasks)
        elif self.total is not None:
            wanted = self.total
        elif self.share is not None:
            wanted = int(self.share * len(new_task.train) + 0.5)
        else:
            wanted = available
        return min(wanted, available)

    def to_json(self) -> dict[str, float]:
        """The one that is set, as in a configuration."""
        return {self.kind: getattr(self, self.kind)}
