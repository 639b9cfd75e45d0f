"""Readers, one format a file. Each takes a path and yields rows; none knows what the columns mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from inscl.data.readers.compression import COMPRESSIONS, format_suffix
from inscl.data.readers.delimited import read_delimited
from inscl.data.readers.hub import is_saved_dataset, read_hub
from inscl.data.readers.json_document import read_json_document
from inscl.data.readers.json_lines import read_json_lines
from inscl.data.readers.parquet import read_parquet
from inscl.data.readers.rows import Row
from inscl.errors import DataError

__all__ = ["FORMATS", "Row", "data_stem", "data_suffix", "is_saved_dataset", "read_rows"]

FORMATS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_document,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".parquet": read_parquet,
}


def read_rows(place: Path | str) -> Iterator[Row]:
    """Rows of a file (`Path`), of a folder saved by `datasets` (`Path`), or of a data set on the hub (`str`).

    Raises:
        DataError: The place can't be read, or its format isn't known.
        MissingExtraError: A data set, and `datasets` is not installed.
    """
    if isinstance(place, str) or is_saved_dataset(place):
        return read_hub(place)
    reader = FORMATS.get(format_suffix(place))
    if reader is None:
        compressed = f", or one of these and {', '.join(COMPRESSIONS)}" if COMPRESSIONS else ""
        raise DataError(f"the format isn't known by its name; expected {', '.join(FORMATS)}{compressed}", place)
    return reader(place)


def data_suffix(path: Path) -> str:
    """The format that a file's name says, compressed or not, as in ``.jsonl``; empty where it says none."""
    suffix = format_suffix(path)
    return suffix if suffix in FORMATS else ""


def data_stem(path: Path) -> str:
    """A file's name without its format: ``train`` of ``train.jsonl.gz``."""
    return Path(path.stem).stem if path.suffix.lower() in COMPRESSIONS and data_suffix(path) else path.stem
