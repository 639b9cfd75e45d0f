"""What a path, a folder or a list holds: which tasks, in which files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inscl.data.names import check_name
from inscl.data.options import check_options, options_problem
from inscl.data.places import refuse_remote
from inscl.data.quoting import excerpt
from inscl.data.readers import FORMATS, data_stem, data_suffix, is_saved_dataset
from inscl.data.splits import SPLIT_NAMES
from inscl.errors import ConfigError, DataError, Problem, nearest

__all__ = ["Entry", "entries_of_list", "entries_of_path"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
SPLITS = ("train", "test", "validation")
KEYS = ("name", "path", *SPLITS, "columns", "max_new_tokens", "options")


@dataclass(frozen=True)
class Entry:
    """Files that make up a task (or several, where their rows name them).

    Attributes:
        name: The task's name, where rows don't give another.
        parts: Pairs of place and split; the split is empty where the rows say it or it has to be made.
        named: Whether the user gave the name, so that a column `task` doesn't count.
        columns: Column mapping of these files; None takes the stream's.
        max_new_tokens: Longest answer to generate; None takes the evaluation's.
        options: As in the stream's settings; None takes the stream's.
    """

    name: str
    parts: tuple[tuple[Path | str, str], ...]
    named: bool = False
    columns: Mapping[str, str] | None = None
    max_new_tokens: int | None = None
    options: str | tuple[str, ...] | None = None
    findings: tuple[str, ...] = field(default=(), compare=False)


def entries_of_path(path: str | Path, base: Path | None = None) -> list[Entry]:
    """The tasks that a file, a folder, or a data set of the hub holds.

    A folder with ``train.*`` and maybe ``test.*`` is one task. Any other folder is a stream, sorted by name: each file
    a task, each subfolder with a train file or saved by `datasets` a task. Hidden files and READMEs are passed over.

    Args:
        path: The path, or a hub id as ``owner/name`` or ``owner/name:configuration``.
        base: Folder that a relative path starts from; None is the current one.

    Raises:
        DataError: There is nothing there, or nothing that can be read.
    """
    try:
        return _entries_of_place(str(path), base or Path())
    # A name that no file can have (NUL, too long), a folder that may not be listed, a home that isn't there.
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"can't be read: {reason}", excerpt(str(path), 200)) from error


def entries_of_list(items: Sequence[Any], base: Path, file: object = "stream.path") -> list[Entry]:
    """The tasks of a list: each item a path, or a mapping with the keys `KEYS`.

    Args:
        items: The list.
        base: Folder that relative paths start from.
        file: Where the list stands, for messages.

    Raises:
        ConfigError: Items are not of that form; every mistake is told.
        DataError: A path leads nowhere.
    """
    problems = [problem for number, item in enumerate(items, start=1) for problem in _check_item(number, item)]
    if not items:
        problems.append(Problem("", "the list holds no tasks"))
    if problems:
        raise ConfigError(problems, str(file))
    return [entry for item in items for entry in _entries_of_item(item, base)]


def _entries_of_place(path: str, base: Path) -> list[Entry]:
    refuse_remote(path, "copy the data into a local or shared folder")
    place = base / Path(path).expanduser()
    if place.is_dir():
        return _entries_of_folder(place)
    if place.exists():
        return [Entry(check_name(data_stem(place), place), ((place, ""),))]
    # A mistyped relative path looks like a hub id too; but then its folder is here, or it names a format.
    local = bool(data_suffix(place)) or place.parent.is_dir()
    if HUB_ID.fullmatch(path) and not local:
        return [Entry(check_name(path.partition("/")[2].replace(":", "_")), ((path, ""),))]
    raise DataError(f"there is no such file or folder{_neighbour(place)}", place)


def _neighbour(place: Path) -> str:
    """A hint for a mistyped path."""
    siblings = [child.name for child in place.parent.iterdir()] if place.parent.is_dir() else []
    close = difflib.get_close_matches(place.name, siblings, n=1)
    return f" (did you mean {place.with_name(close[0])}?)" if close else ""


def _entries_of_folder(folder: Path) -> list[Entry]:
    one = _split_files(folder)
    if is_saved_dataset(folder):
        return [Entry(check_name(folder.resolve().name, folder), ((folder, ""),))]
    if one:
        return [Entry(check_name(folder.resolve().name, folder), one)]
    if (folder / "tasks").is_dir() and (folder / "splits").is_dir():
        raise DataError(
            "this is a checkout of natural-instructions; make a stream of it first: inscl data superni CHECKOUT OUT",
            folder,
        )
    entries, left = [], []
    for child in sorted(folder.iterdir(), key=lambda child: child.name):
        if child.name.startswith(".") or child.stem.lower() in {"readme", "license", "licence"}:
            continue
        parts = _split_files(child) if child.is_dir() else ()
        if (child.is_dir() and is_saved_dataset(child)) or (not child.is_dir() and data_suffix(child)):
            parts = ((child, ""),)
        if parts:
            entries.append(Entry(check_name(child.name if child.is_dir() else data_stem(child), child), parts))
        else:
            left.append(child.name)
    if not entries:
        there = f"; there are: {', '.join(left[:20])}" if left else "; it is empty"
        raise DataError(f"no data files were found in this folder (expected {', '.join(FORMATS)}){there}", folder)
    if left:
        finding = f"passed over in {folder.name}, no data files: {', '.join(left)}"
        entries[0] = replace(entries[0], findings=(finding,))
    return entries


def _split_files(folder: Path) -> tuple[tuple[Path | str, str], ...]:
    """The files of a folder that is one task: all its data files are named after splits, and one of them is train."""
    files = sorted(child for child in folder.iterdir() if data_suffix(child) and not child.name.startswith("."))
    splits = {data_stem(file).lower() for file in files}
    if not splits <= SPLIT_NAMES.keys() or "train" not in {SPLIT_NAMES[split] for split in splits}:
        return ()
    return tuple((file, SPLIT_NAMES[data_stem(file).lower()]) for file in files)


def _entries_of_item(item: str | Mapping[str, Any], base: Path) -> list[Entry]:
    if isinstance(item, str):
        return entries_of_path(item, base)
    columns, limit, name, options = (item.get(key) for key in ("columns", "max_new_tokens", "name", "options"))
    options = options if isinstance(options, str | None) else check_options(options)
    if "path" in item:
        entries = entries_of_path(item["path"], base)
        if name is not None and len(entries) > 1:
            raise DataError(f"the name {name!r} is for one task, and this folder holds {len(entries)}", item["path"])
    else:
        parts = [
            (split, entries_of_path(item[split], base)) for split in ("train", "test", "validation") if split in item
        ]
        files = tuple((place, split) for split, found in parts for entry in found for place, _ in entry.parts)
        entries = [Entry(parts[0][1][0].name, files)]
    return [
        replace(
            entry,
            name=check_name(name) if name is not None else entry.name,
            named=name is not None,
            columns=columns,
            max_new_tokens=limit,
            options=options,
        )
        for entry in entries
    ]


def _check_item(number: int, item: Any) -> list[Problem]:
    where = f"[{number}]"
    if isinstance(item, str):
        return []
    if not isinstance(item, Mapping):
        return [Problem(where, f"a path, or a mapping with path or train, was expected: {_shown(item)}")]
    problems = [
        Problem(f"{where}.{excerpt(str(key))[1:-1]}", f"unknown key{nearest(str(key)[:100], KEYS)}")
        for key in item
        if key not in KEYS
    ]
    if ("path" in item) == ("train" in item):
        problems.append(Problem(where, "one of path and train was expected"))
    for key in ("path", *SPLITS):
        if key in item and not isinstance(item[key], str):
            problems.append(Problem(f"{where}.{key}", f"a path was expected: {_shown(item[key])}"))
    if not isinstance(item.get("columns", {}), Mapping):
        problems.append(Problem(f"{where}.columns", "a mapping from field to column was expected"))
    limit = item.get("max_new_tokens")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        problems.append(
            Problem(f"{where}.max_new_tokens", f"a whole number of 1 or more was expected: {_shown(limit)}")
        )
    if problem := options_problem(item.get("options")):
        problems.append(Problem(f"{where}.options", problem))
    return problems


def _shown(value: Any) -> str:
    return excerpt(repr(value))[1:-1]
