"""The settings of a stream, checked: the arguments of `load_stream`, or the section ``stream`` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from inscl.data.layouts import Layout
from inscl.data.options import check_options, options_problem
from inscl.data.quoting import excerpt
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["Leaks", "Options", "Reasoning", "StreamSettings", "Turns"]

Leaks = Literal["error", "drop", "allow"]
Turns = Literal["last", "all"]
Reasoning = Literal["drop", "keep"]
Options = Literal["found", "given", "none"] | Sequence[str]


@dataclass(frozen=True)
class StreamSettings:
    """See `inscl.data.load_stream`.

    Raises:
        ConfigError: Settings are wrong; all are told at once.
    """

    path: Any = None
    name: str | None = None
    order: str | Sequence[str] | None = None
    columns: Mapping[str, str] | None = None
    train_per_task: int | None = None
    test_per_task: int | None = None
    test_share: float = 0.2
    seed: int = 0
    leaks: Leaks = "error"
    skip_bad_rows: bool = False
    turns: Turns = "last"
    reasoning: Reasoning = "drop"
    options: Options = "found"
    metadata: Sequence[str] = ()
    refine: Sequence[Any] = ()
    held_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        wanted = {
            "train_per_task": ("a whole number of 1 or more", _is_count(self.train_per_task)),
            "test_per_task": ("a whole number of 1 or more", _is_count(self.test_per_task)),
            "test_share": ("a number between 0 and 1", _is_share(self.test_share)),
            "leaks": ("error, drop or allow", self.leaks in ("error", "drop", "allow")),
            "name": ("text", self.name is None or isinstance(self.name, str)),
            "order": ("a named order or a list of task names", isinstance(self.order, str) or _is_list(self.order)),
            "columns": ("a mapping from field to column", isinstance(self.columns, Mapping | None)),
            "seed": ("a whole number", isinstance(self.seed, int) and not isinstance(self.seed, bool)),
            "skip_bad_rows": ("true or false", isinstance(self.skip_bad_rows, bool)),
            "turns": ("last or all", self.turns in ("last", "all")),
            "reasoning": ("drop or keep", self.reasoning in ("drop", "keep")),
            "metadata": ("a list of columns", _is_list(self.metadata)),
            "held_out": ("a list of task names", self.held_out is not None and _is_list(self.held_out)),
        }
        problems = [
            Problem(f"stream.{key}", f"{what} was expected: {excerpt(repr(getattr(self, key)))[1:-1]}")
            for key, (what, fits) in wanted.items()
            if not fits
        ]
        if not isinstance(self.refine, Sequence) or isinstance(self.refine, (str, bytes)):
            problems.append(Problem("stream.refine", "a list of refiners was expected"))
        if problem := options_problem(self.options):
            problems.append(Problem("stream.options", problem))
        if problems:
            raise ConfigError(problems)

    def with_section(self, section: Mapping[str, Any]) -> StreamSettings:
        """These settings, but for what a section ``stream`` of a configuration says.

        Raises:
            ConfigError: It has no path, or keys that are no settings.
        """
        keys = [key.name for key in fields(StreamSettings)]
        problems = [
            Problem(f"stream.{key}", f"unknown key{nearest(str(key), keys)}") for key in section if key not in keys
        ]
        if problems or not section.get("path"):
            raise ConfigError(problems or [Problem("stream.path", "a path was expected, or demo")])
        return replace(self, **{key: value for key, value in section.items() if value is not None})

    @property
    def layout(self) -> Layout:
        """What columns mean, where a task has no mapping of its own."""
        options = self.options if isinstance(self.options, str) else check_options(self.options)
        return Layout(self.columns or {}, self.turns, self.reasoning, options, tuple(self.metadata))


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1


def _is_list(value: Any) -> bool:
    return value is None or (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and all(isinstance(v, str) for v in value)
    )
