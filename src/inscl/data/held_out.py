"""Which tasks of a stream are learned, and which are held out: scored at every stage, never learned nor replayed."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.data.orders import arrange
from inscl.data.quoting import excerpt
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["parted"]


def parted(
    present: Sequence[str], order: str | Sequence[str] | None, held_out: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The tasks to learn, in order, and what was noticed about the order.

    Args:
        present: Every task of the data.
        order: A named order, task names, or None for the order of the data.
        held_out: Tasks that are scored only; no order needs to name them.

    Raises:
        ConfigError: A task that is held out isn't there, stands twice or is in the order too, or nothing is left to
            learn; all are told at once.
    """
    problems = [f"there is no task {excerpt(name)}{nearest(name, present)}" for name in held_out if name not in present]
    twice = dict.fromkeys(name for name in held_out if held_out.count(name) > 1)
    problems += [f"the task {excerpt(name)} stands twice; leave one out" for name in twice]
    listed = [] if order is None or isinstance(order, str) else order
    problems += [
        f"the task {excerpt(name)} is in stream.order too; a task is learned or held out: take it out of one of them"
        for name in held_out
        if name in listed
    ]
    left = [name for name in present if name not in held_out]
    if present and not left:
        problems.append("every task is held out; leave one to learn")
    if problems:
        raise ConfigError([Problem("stream.held_out", problem) for problem in problems])
    return (left, []) if order is None else arrange(order, left)
