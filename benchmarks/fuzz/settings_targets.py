"""The configuration and what else is written by hand or by a server: YAML, overrides, grids, an LLM's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inscl.cli.terminal import plain
from inscl.config.loading import load_config, read_yaml
from inscl.data import load_stream
from inscl.data.yaml_values import dump_yaml
from inscl.errors import ConfigError, InsclError
from inscl.reports.text import visible
from inscl.tagging.answers import parse_tags

from .targets import LONGEST_MESSAGE, Broken

__all__ = ["TARGETS"]


def _short(error: InsclError) -> str:
    if len(str(error)) > LONGEST_MESSAGE:
        raise Broken(f"a message of {len(str(error))} characters")
    return "refused"


def config(values: Mapping[Any, Any], folder: Path) -> str:
    """A mapping as a YAML file: a configuration that says all that was written, or an error that says what is wrong."""
    path = folder / "inscl.yaml"
    path.write_text(dump_yaml(values), encoding="utf-8")
    try:
        loaded = load_config(path)
    except ConfigError as error:
        if not error.problems:
            raise Broken("a mistake without a message") from error
        return _short(error)
    dumped = loaded.model_dump(mode="json")
    for section, given in values.items():
        for key in given if isinstance(given, Mapping) else ():
            if key not in dumped[section] and section != "params":
                raise Broken(f"{section}.{key} was dropped")
    if load_config(json.loads(json.dumps(dumped))) != loaded:
        raise Broken("a configuration that was written down is another one when it is read")
    return "read"


def yaml_text(text: str, folder: Path) -> str:
    """Text that is nearly YAML, as a configuration, a grid and a list of tasks."""
    from inscl.bench.grid.grid import load_grid

    path = folder / "near.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    outcome = "refused"
    for read in (read_yaml, load_config, load_grid, load_stream):
        try:
            read(path)
            outcome = "read"
        except InsclError as error:
            _short(error)
    return outcome


def overrides(changes: Sequence[str], folder: Path) -> str:
    """What stands behind ``--set``."""
    try:
        load_config({}, changes)
    except InsclError as error:
        return _short(error)
    return "read"


def grid(values: Mapping[Any, Any], folder: Path) -> str:
    """A mapping as a grid."""
    from inscl.bench.grid.grid import load_grid

    path = folder / "grid.yaml"
    path.write_text(dump_yaml(values), encoding="utf-8")
    try:
        load_grid(path)
    except InsclError as error:
        return _short(error)
    return "read"


def section(values: Mapping[Any, Any], folder: Path) -> str:
    """A mapping, or its values as a list, as the section ``stream`` of a Python caller."""
    outcome = "refused"
    # Nothing that looks like the id of a data set: no network is asked.
    for given in (values, [value for value in values.values() if not (isinstance(value, str) and "/" in value)]):
        try:
            load_stream(given)
            outcome = "read"
        except InsclError as error:
            _short(error)
    return outcome


def llm_answer(text: str, folder: Path) -> str:
    """An LLM's answer: tags, or a `ValueError` that says why not."""
    try:
        parse_tags(text)
    except ValueError:
        return "refused"
    return "read"


def shown_text(text: str, folder: Path) -> str:
    """Text on a terminal and on a page: nothing in it is obeyed."""
    for shown in (plain(text), visible(text)):
        obeyed = [c for c in shown if c not in "\n\t" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066")]
        if obeyed:
            raise Broken(f"{obeyed!r} is still there")
        shown.encode("utf-8")
    return "read"


TARGETS: dict[str, Callable[[Any, Path], str]] = {
    one.__name__: one for one in (config, yaml_text, overrides, grid, section, llm_answer, shown_text)
}
