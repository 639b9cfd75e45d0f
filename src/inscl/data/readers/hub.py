"""Data sets of the `datasets` library: a folder that it saved, or an id on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from inscl.data.readers.class_labels import classes_in, named
from inscl.data.readers.rows import Row
from inscl.errors import DataError, MissingExtraError

__all__ = ["is_saved_dataset", "read_hub"]


def is_saved_dataset(folder: Path) -> bool:
    """Whether `folder` was written by `datasets`' `save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()
    )


def read_hub(place: Path | str) -> Iterator[Row]:
    """Rows of a data set; `Row.line` counts within a split, and `Row.split` is the split's name.

    A class label is read as its name, and as None where it is -1, as in test splits whose labels are kept back.

    Code that a data set brings along is never run.

    Args:
        place: A folder (`Path`), or an id on the hub (`str`), with a configuration after a colon where it has several:
            ``"nyu-mll/glue:rte"``.

    Raises:
        MissingExtraError: `datasets` is not installed.
        DataError: There is no such data set, or it can't be read.
    """
    try:
        import datasets
    except ImportError as error:
        what = f"{place!r} is no file or folder here; reading it from the hub" if isinstance(place, str) else str(place)
        raise MissingExtraError(what, "hub", "datasets") from error
    try:
        loaded = datasets.load_from_disk(str(place)) if isinstance(place, Path) else _download(datasets, place)
    # The library raises its own, its file system's and its HTTP client's errors, which share no base class.
    except Exception as error:
        where = "" if isinstance(place, Path) else f"there is no file or folder of that name in {Path.cwd()}, and "
        reason = str(error).strip().split("\n", 1)[0][:300] or type(error).__name__
        raise DataError(f"{where}it can't be loaded as a data set: {reason}", place) from error
    splits: dict[str, Any] = dict(loaded) if isinstance(loaded, dict) else {"": loaded}
    for name, rows in splits.items():
        yield from _rows(_undecoded(datasets, rows), name, place)


def _undecoded(datasets: Any, rows: Any) -> Any:
    """The same with pictures as their bytes, which are checked before anything decodes them."""
    if not rows.features:
        return rows
    features = datasets.Features({name: _bytes_of(datasets, one) for name, one in rows.features.items()})
    return rows if features == rows.features else rows.cast(features)


def _bytes_of(datasets: Any, feature: Any) -> Any:
    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    if isinstance(feature, dict):
        return {name: _bytes_of(datasets, one) for name, one in feature.items()}
    if isinstance(feature, list):
        return [_bytes_of(datasets, one) for one in feature]
    if hasattr(feature, "feature"):  # Sequence, List, LargeList
        return replace(feature, feature=_bytes_of(datasets, feature.feature))
    return feature


def _rows(rows: Any, split: str, place: Path | str) -> Iterator[Row]:
    iterator, number = iter(rows), 0
    classes = classes_in(rows.features.to_dict() if rows.features else {})
    while True:
        number += 1
        try:
            values = next(iterator)
        except StopIteration:
            return
        except Exception as error:  # a damaged table, an image that is none: the library's many errors again
            reason = str(error).strip().split("\n", 1)[0][:300] or type(error).__name__
            raise DataError(f"can't be read: {reason}", place, number) from error
        yield Row(number, named(values, classes), split=split, classes=classes)


def _download(datasets: Any, place: str) -> Any:
    name, _, configuration = place.partition(":")
    # From its fourth major version on the library has no loading scripts; before, it would ask on the terminal.
    refusal = {"trust_remote_code": False} if int(datasets.__version__.split(".")[0]) < 4 else {}
    return datasets.load_dataset(name, configuration or None, **refusal)
