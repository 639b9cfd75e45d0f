"""Rows of a published benchmark on their way into a stream: gathered by task, leaks taken out, one file a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inscl.contract import Example
from inscl.data.contents import content_of
from inscl.data.names import check_name, check_unique
from inscl.data.writing import write_bytes
from inscl.errors import DataError

__all__ = ["BenchmarkRows"]

SPLITS = ("train", "validation", "test")
SHOWN = 10


@dataclass(frozen=True)
class _Row:
    split: str
    example: Example
    license: str


@dataclass
class BenchmarkRows:
    """The rows of every task, and what has to be told about them.

    Attributes:
        rows: Task -> how many rows it has, all splits together; filled by `write`.
        notes: What was left out, kept although odd, or added; one line each.
    """

    rows: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    _tasks: dict[str, list[_Row]] = field(default_factory=dict)
    _places: dict[str, Path] = field(default_factory=dict)
    _optional: set[str] = field(default_factory=set)
    _empty: Counter[tuple[str, str]] = field(default_factory=Counter)

    def begin(self, task: str, place: Path, *, optional: bool = False) -> None:
        """Start a task.

        Args:
            task: Its name.
            place: File or folder that it comes from, for messages.
            optional: Whether it is left out, and that noted, where it has no usable train or test row; else that is an
                error.

        Raises:
            DataError: The name can't be used, or an earlier place has it too.
        """
        check_name(task, place)
        if task in self._tasks:
            raise DataError(f"this is the task {task!r}, and {self._places[task]} is too; take one away", place)
        self._tasks[task], self._places[task] = [], place
        if optional:
            self._optional.add(task)

    def add(self, split: str, example: Example, license_: str = "Unknown") -> None:
        """Add a row to its task, or count it where it has no prompt or no answer: nothing can be learned from that.

        Args:
            split: ``train``, ``validation`` or ``test``.
            example: What the row says; its task has been begun.
            license_: Of its data, where the benchmark says so.
        """
        if example.instruction.strip() and any(output.strip() for output in example.outputs):
            self._tasks[example.task].append(_Row(split, example, license_))
        else:
            self._empty[example.task, split] += 1

    def pass_over(self, root: Path, used: Collection[Path]) -> None:
        """Note which files below `root` are not `used`; hidden ones aside."""
        others = sorted(
            str(path.relative_to(root)) for path in root.rglob("[!.]*") if path.is_file() and path not in used
        )
        if others:
            shown = ", ".join(others[:SHOWN]) + (", …" if len(others) > SHOWN else "")
            self.notes.append(f"passed over: {len(others)} files that are not the benchmark's ({shown})")

    def write(self, out: Path) -> None:
        """Write ``<task>.parquet`` for each task: ``load_stream(out)`` reads them.

        A train row that says the same as a test row, of whichever task, is left out and counted.

        Args:
            out: Folder to write into; made if missing.

        Raises:
            DataError: `out` holds other files, which would become part of the stream, or a task that
                isn't optional has no train or no test row.
            WorkspaceError: `out` can't be written.
        """
        check_unique(self._places.items())
        foreign = sorted(path.name for path in out.glob("[!.]*") if path.stem not in self._tasks)
        if foreign:
            raise DataError(f"this folder holds other files ({', '.join(foreign[:5])}); give an empty one", out)
        for (task, split), count in self._empty.items():
            self.notes.append(f"left out: {count} {split} rows of {task} without a prompt or an answer")
        tested = {content_of(row.example) for rows in self._tasks.values() for row in rows if row.split == "test"}
        self._tasks = {task: self._without_leaks(task, rows, tested) for task, rows in self._tasks.items()}
        self._tasks = {task: rows for task, rows in self._tasks.items() if self._is_usable(task, rows)}
        for task, rows in self._tasks.items():
            self.rows[task] = len(rows)
            write_bytes(out / f"{task}.parquet", _parquet(rows))

    def lines(self) -> list[str]:
        """What to tell the user, a line each: the tasks with the rows of every split, then the notes."""
        lines = []
        for task, rows in self._tasks.items():
            counts = Counter(row.split for row in rows)
            lines.append(f"{task}: {', '.join(f'{counts[split]} {split}' for split in SPLITS if counts[split])}")
        return [*lines, f"in all: {len(self._tasks)} tasks, {self.rows.total()} rows", *self.notes]

    def _without_leaks(self, task: str, rows: list[_Row], tested: set[str]) -> list[_Row]:
        kept = [row for row in rows if row.split != "train" or content_of(row.example) not in tested]
        if len(kept) < len(rows):
            self.notes.append(f"left out: {len(rows) - len(kept)} train rows of {task} that stand in a test split too")
        return kept

    def _is_usable(self, task: str, rows: list[_Row]) -> bool:
        lacking = [split for split in ("train", "test") if not any(row.split == split for row in rows)]
        if lacking and task not in self._optional:
            raise DataError(f"the task {task!r} has no usable {lacking[0]} rows", self._places[task])
        if lacking:
            self.notes.append(
                f"left out: {task} as a whole, {len(rows)} rows; none of its {lacking[0]} rows can be used"
            )
        return not lacking


def _parquet(rows: Sequence[_Row]) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet

    table = [
        {
            "split": row.split,
            "task": row.example.task,
            "source_task": row.example.source,
            "instruction": row.example.instruction,
            "input": row.example.input,
            "output": list(row.example.outputs),
            "license": row.license,
        }
        for row in rows
    ]
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist(table), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content
