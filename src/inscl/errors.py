"""Everything that can go wrong, as one tree.

```
InsclError                    exit code 1: something outside the user's control failed (a disk, an endpoint, a model)
├── UserError                 exit code 2: a mistake that the user can correct
│   ├── ConfigError           a configuration; carries every problem, each with its key
│   ├── DataError             a data file; says file, line and what was expected
│   ├── MissingExtraError     an optional dependency; says the pip command
│   └── UnknownComponentError no strategy, learner, ... of that name; lists the available ones
├── WorkspaceError            a run folder that can't be read or written
├── ModelError                a model that can't be found, loaded or trained
│   └── DivergedError         a training whose loss is no longer a number
└── EndpointError             a server that doesn't answer, or answers incorrectly
    ├── TooLongError          a question that doesn't fit a model's context
    └── RefusedError          a request that this kind of server doesn't serve
```

Every message says what is wrong, where, and what to do about it. The CLI prints only the message, and a traceback
only with ``--debug``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "ConfigError",
    "DataError",
    "DivergedError",
    "EndpointError",
    "InsclError",
    "MissingExtraError",
    "ModelError",
    "Problem",
    "RefusedError",
    "TooLongError",
    "UnknownComponentError",
    "UserError",
    "WorkspaceError",
    "nearest",
]


_MOST_LISTED = 30


class InsclError(Exception):
    """Base of every error that inscl raises on purpose."""

    exit_code = 1


class UserError(InsclError):
    """The user's mistake: a value, a file or a name that can be corrected."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration.

    Attributes:
        key: Dotted path of the value, as in ``replay.budget.per_task``.
        message: What is wrong with it and what would be right.
    """

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class ConfigError(UserError):
    """A configuration that can't be used; `problems` holds every mistake, not only the first."""

    def __init__(self, problems: Sequence[Problem] | str, where: str = "configuration") -> None:
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        count = len(self.problems)
        if count == 1:
            text = f"{where}: {self.problems[0]}"
        else:
            text = f"{where}: {count} problems\n" + "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(text)


class DataError(UserError):
    """A data file that can't be used.

    Args:
        message: What is wrong and what was expected.
        file: The file it is in.
        line: 1-based line or row, if there is one.
    """

    def __init__(self, message: str, file: object | None = None, line: int | None = None) -> None:
        self.file = None if file is None else str(file)
        self.line = line
        place = "" if file is None else f"{file}, line {line}: " if line is not None else f"{file}: "
        super().__init__(place + message)


class MissingExtraError(UserError):
    """A feature whose optional dependency isn't installed."""

    def __init__(self, feature: str, extra: str, package: str | None = None) -> None:
        self.extra = extra
        named = f" (the package {package!r} is missing)" if package else ""
        super().__init__(f"{feature} needs an optional dependency{named}: pip install 'inscl[{extra}]'")


class UnknownComponentError(UserError):
    """No strategy, learner, embedder, tagger or scorer of that name."""

    def __init__(self, kind: str, name: str, available: Iterable[str]) -> None:
        self.kind, self.name, self.available = kind, name, sorted(available)
        super().__init__(f"no {kind} named {name!r}{nearest(name, self.available)}")


class WorkspaceError(InsclError):
    """A run folder that can't be read, written or continued."""


class ModelError(InsclError):
    """A model that can't be found, loaded or trained."""


class DivergedError(ModelError):
    """A training whose loss is no longer a finite number: the same settings end like this each time."""


class EndpointError(InsclError):
    """A model server that can't be reached or doesn't speak the protocol."""


class TooLongError(EndpointError):
    """A question that is longer than the model reads; others may still be answered."""


class RefusedError(EndpointError):
    """A request that the server refuses for what it asks; another kind of request may be served."""


def nearest(name: str, known: Sequence[str], more: Sequence[str] = ()) -> str:
    """A hint for a mistyped name, to append to a message.

    Args:
        name: What was typed.
        known: What there is.
        more: What there is besides, and is too much to list.

    Returns:
        ``" (did you mean 'x'? there are: a, b, x)"``, or the list alone when nothing is near. More than 30 names are
        not listed.
    """
    close = difflib.get_close_matches(name, [*known, *more], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else ""
    listing = "" if len(known) > _MOST_LISTED else f"there are: {', '.join(known) if known else 'none'}"
    said = " ".join(filter(None, (hint, listing)))
    return f" ({said})" if said else ""
