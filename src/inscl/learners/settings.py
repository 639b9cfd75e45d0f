"""Settings of learners, checked: choices, whole numbers, and numbers above 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from inscl.errors import ConfigError, Problem, nearest

__all__ = ["check", "problems_of"]


def check(
    choices: Mapping[str, tuple[Any, Sequence[str]]],
    counts: Mapping[str, tuple[Any, int]],
    numbers: Mapping[str, tuple[Any, float | None]],
    learner: str,
) -> None:
    """Refuse settings that can't be, all at once.

    Args:
        choices: As in `problems_of`, like the next two.
        counts: Whole numbers.
        numbers: Other numbers.
        learner: Whose settings they are, for the message.

    Raises:
        ConfigError: Some can't be.
    """
    if problems := problems_of(choices, counts, numbers):
        raise ConfigError(problems, f"learner {learner}")


def problems_of(
    choices: Mapping[str, tuple[Any, Sequence[str]]],
    counts: Mapping[str, tuple[Any, int]],
    numbers: Mapping[str, tuple[Any, float | None]] = MappingProxyType({}),
) -> list[Problem]:
    """What is wrong with settings; empty if nothing is.

    Args:
        choices: Key of a setting -> its value and what it may be.
        counts: Key -> its value and the least whole number that it may be.
        numbers: Key -> its value, which must be above 0, and the most that it may be; None for no limit.
    """
    problems = [
        Problem(key, f"no {key.rpartition('.')[2]} {value!r}{nearest(str(value), known)}")
        for key, (value, known) in choices.items()
        if value not in known
    ]
    for key, (value, least) in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            problems.append(Problem(key, f"a whole number of {least} or more was expected, got {value!r}"))
    for key, (value, most) in numbers.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value < float("inf") or (most is not None and value > most):
            said = "a number above 0" + ("" if most is None else f" and at most {most}")
            problems.append(Problem(key, f"{said} was expected, got {value!r}"))
    return problems
