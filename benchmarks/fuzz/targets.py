"""What is fuzzed, each with what must hold: no traceback other than inscl's own errors, and no row that goes missing.

A target takes one input and returns whether it was ``read`` or ``refused``; anything wrong raises `Broken`, or whatever
inscl let through.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inscl.data import load_stream
from inscl.data.names import check_name
from inscl.errors import DataError, InsclError

__all__ = ["TARGETS", "Broken"]

LONGEST_MESSAGE = 30_000
Row = Mapping[str, Any]


class Broken(AssertionError):
    """A property that must hold does not."""


def _stream(path: Path, rows: int | None = None) -> str:
    """Read a file as a stream, bad rows put aside, and look for rows that are nowhere.

    Half of the files, chosen by content, are read once more: strictly, with leaks taken out.
    """
    content = path.read_bytes()
    outcome = _read(path, rows, skip_bad_rows=True, leaks="allow")
    if zlib.crc32(content) % 2:
        strict = _read(path, None, skip_bad_rows=False, leaks="drop")
        if (outcome, strict) == ("refused", "read"):
            raise Broken("what is read strictly is refused when bad rows may be skipped")
    return outcome


def _read(path: Path, rows: int | None, **options: Any) -> str:
    try:
        stream = load_stream(path, **options)
    except InsclError as error:
        _short(error)
        return "refused"
    json.dumps(stream.rejected, allow_nan=False)
    kept = sum(len(task.train) + len(task.test) for task in stream)
    left = sum(map(_left_out, stream.findings))
    if rows is not None and kept + len(stream.rejected) + left != rows:
        raise Broken(f"{rows} rows: {kept} kept, {len(stream.rejected)} rejected, {left} left out")
    _names_stay(stream.names, path.parent)
    return "read"


def _left_out(finding: str) -> int:
    if not finding.startswith("split left out: "):
        return 0
    found = re.findall(r", (\d+) rows; (?:used are|it has a test split)", finding)
    if not found:
        raise Broken(f"a finding without a count: {finding}")
    return int(found[-1])


def _names_stay(names: Sequence[str], folder: Path) -> None:
    for name in names:
        inside = (folder / f"{name}.jsonl").resolve()
        if inside.parent != folder.resolve() or not inside.name.startswith(name):
            raise Broken(f"the task {name!r} leaves its folder")


def _short(error: InsclError) -> None:
    if len(str(error)) > LONGEST_MESSAGE:
        raise Broken(f"a message of {len(str(error))} characters")


def _lines(rows: Sequence[Row], folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def json_lines(rows: Sequence[Row], folder: Path) -> str:
    """Rows as JSONL."""
    return _stream(_lines(rows, folder), len(rows))


def json_document(rows: Sequence[Row], folder: Path) -> str:
    """Rows as an array, and as an object that holds one."""
    path = folder / "rows.json"
    path.write_text(json.dumps({"data": rows} if len(rows) % 2 else rows), encoding="utf-8")
    return _stream(path, len(rows) if rows else None)


def delimited(rows: Sequence[Row], folder: Path) -> str:
    """Rows as CSV and as TSV; every value becomes text."""
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["instruction"]
    path = folder / ("rows.tsv" if len(columns) % 2 else "rows.csv")
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t" if path.suffix == ".tsv" else ",")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    path.write_bytes(out.getvalue().encode("utf-8", "surrogateescape" if len(rows) % 3 else "replace"))
    return _stream(path, len(rows))


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return re.sub("[\ud800-\udc7f\udd00-\udfff]", "?", text)


def parquet(rows: Sequence[Row], folder: Path) -> str:
    """Rows as Parquet, where its types can hold them, else as columns of JSON texts."""
    import pyarrow as arrow
    from pyarrow import parquet as files

    path = folder / "rows.parquet"
    try:
        table = arrow.Table.from_pylist(list(rows))
        files.write_table(table, path)
    except (arrow.ArrowException, UnicodeError, OverflowError, TypeError, ValueError):
        table = arrow.Table.from_pylist([{"instruction": json.dumps(row), "output": "x"} for row in rows])
        files.write_table(table, path)
    return _stream(path, table.num_rows)


def tidy(rows: Sequence[Row], folder: Path) -> str:
    """Rows without a fault are all there, word for word, in every format."""
    for write in (json_lines, json_document, delimited, parquet):
        write(rows, folder)
    given = Counter((row["instruction"], row["input"], (row["output"],)) for row in rows)
    for path in sorted(folder.glob("rows.*")):
        try:
            stream = load_stream(path, leaks="allow")
        except DataError as error:
            if len({tuple(part.strip() for part in (*key[:2], *key[2])) for key in given}) > 1:
                raise Broken(f"refused: {error}") from error
            return "refused"
        kept = Counter((e.instruction, e.input, e.outputs) for task in stream for e in (*task.train, *task.test))
        if kept != given:
            raise Broken(f"{path.suffix}: {given - kept} missing, {kept - given} made up")
    return "read"


def raw_lines(content: bytes, folder: Path) -> str:
    """Any bytes as JSONL, whose lines are counted."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return _raw(content, folder / "raw.jsonl", sum(1 for line in lines if line.strip()))


def raw_json(content: bytes, folder: Path) -> str:
    """Any bytes as JSON."""
    return _raw(content, folder / "raw.json")


def raw_table(content: bytes, folder: Path) -> str:
    """Any bytes as CSV, or as TSV where they have an odd length; records are counted by a reader of our own."""
    path = folder / ("raw.tsv" if len(content) % 2 else "raw.csv")
    return _raw(content, path, _records(content))


def raw_parquet(content: bytes, folder: Path) -> str:
    """Any bytes between Parquet's marks; a damaged Parquet file as it is."""
    if content.startswith(b"PAR1"):
        return _raw(content, folder / "raw.parquet")
    return _raw(b"PAR1" + content + len(content).to_bytes(4, "little") + b"PAR1", folder / "raw.parquet")


def raw_yaml(content: bytes, folder: Path) -> str:
    """Any bytes as a list of tasks."""
    return _raw(content, folder / "raw.yaml")


def _raw(content: bytes, path: Path, rows: int | None = None) -> str:
    path.write_bytes(content)
    return _stream(path, rows)


def _records(content: bytes) -> int | None:
    """How many records follow the header; None where a quote stands elsewhere than around a field."""
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b'"' in content:
        return None
    return sum(1 for line in content.split(b"\n")[1:] if line)


def name(text: str, folder: Path) -> str:
    """A task's name is refused, or names a file in the folder and nothing else."""
    try:
        accepted = check_name(text)
    except InsclError as error:
        _short(error)
        return "refused"
    _names_stay([accepted], folder)
    (folder / f"{accepted}.jsonl").write_text("")
    (folder / f"{accepted}.jsonl").unlink()
    return "read"


TARGETS: dict[str, Callable[[Any, Path], str]] = {
    one.__name__: one
    for one in (
        json_lines,
        json_document,
        delimited,
        parquet,
        tidy,
        raw_lines,
        raw_json,
        raw_table,
        raw_parquet,
        raw_yaml,
        name,
    )
}
