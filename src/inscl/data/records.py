"""Examples with the place they were read from, and a journal of what was noticed on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.data.columns import FIELDS, RowProblem, normal
from inscl.data.contents import content_of
from inscl.data.entries import Entry
from inscl.data.layouts import Fields, Layout
from inscl.data.markers import MARKER
from inscl.data.names import check_name
from inscl.data.pictures import PictureReader
from inscl.data.quoting import excerpt
from inscl.data.readers import Row, data_stem, read_rows
from inscl.data.readers.json_values import plain_value
from inscl.data.splits import SPLIT_NAMES
from inscl.errors import DataError

__all__ = ["Journal", "Record", "read_records"]

LARGE_FIELD = 1_000_000  # characters; longer texts are named
LARGEST_FIELD = 16_000_000  # characters; a row with a longer text is a bad row
SHOWN = 20
SHOWN_COLUMNS = 50  # of those that are not used


@dataclass(frozen=True)
class Record:
    """An example and where it stands.

    Attributes:
        example: The example.
        split: ``train``, ``test``, ``validation``, or empty where the data doesn't say.
        origin: The source task that the data names; empty where it names none.
        file: File name, or id of a data set.
        line: 1-based line or row.
        options_from: Where the example's options come from; empty where it has none.
    """

    example: Example
    split: str
    origin: str
    file: str
    line: int
    options_from: str = ""

    @cached_property
    def content(self) -> str:
        """What makes two examples the same (see `inscl.data.overlaps`), as one text."""
        return content_of(self.example)


@dataclass
class Journal:
    """What reading noticed.

    Attributes:
        skip_bad_rows: Whether a bad row is put aside; else it is an error.
        findings: One line each.
        rejected: The rows put aside: ``file``, ``line``, ``reason`` and ``row``, its content.
    """

    skip_bad_rows: bool = False
    findings: list[str] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    _named: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, text: str) -> None:
        """Add a finding; of one kind only the first `SHOWN` are written out, the rest are counted by `close`."""
        self._named[kind] += 1
        if self._named[kind] <= SHOWN:
            self.findings.append(f"{kind}: {text}")

    def reject(self, row: Row, place: Path | str, reason: str) -> None:
        """Put a bad row aside, or raise.

        Raises:
            DataError: Bad rows are not to be skipped.
        """
        if not self.skip_bad_rows:
            end = "" if reason.endswith("?") else "."
            raise DataError(f"{reason}{end} With skip_bad_rows, such rows are set aside and named", place, row.line)
        content = _cut(plain_value(row.values) if row.values else row.raw)
        self.rejected.append({"file": str(place), "line": row.line, "reason": reason, "row": content})
        self.note("bad row left out", f"{place}, line {row.line}: {reason}")

    def close(self) -> None:
        """Count what was not written out."""
        for kind, count in self._named.items():
            if count > SHOWN:
                self.findings.append(f"{kind}: {count - SHOWN} more, {count} in all")


def _cut(value: Any) -> Any:
    """The same, with texts beyond the largest field cut, which says how long they were."""
    if isinstance(value, dict):
        return {_cut(key): _cut(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_cut(part) for part in value]
    if isinstance(value, str) and len(value) > LARGEST_FIELD:
        return f"{value[:LARGE_FIELD]}… ({len(value):,} characters in all)"
    return value


def read_records(entry: Entry, layout: Layout, journal: Journal) -> Iterator[Record]:
    """Every example of an entry.

    Args:
        entry: Which files, and what they are called.
        layout: What their columns mean.
        journal: Takes bad rows and findings.

    Raises:
        DataError: A file can't be read, holds no row, or holds a bad row that may not be skipped.
    """
    for place, split in entry.parts:
        file = place.name if isinstance(place, Path) else place
        rows = passed = 0
        unknown: Counter[str] = Counter()
        label = file if isinstance(place, str) or data_stem(place) == entry.name else f"{entry.name}/{file}"
        seen, pictures = _Seen(label, layout), PictureReader(_folder_of(place))
        for row in read_rows(place):
            rows += 1
            journal.findings.extend(f"{label}: {note}" for note in row.notes)
            if row.split and row.split.lower() not in SPLIT_NAMES:
                unknown[row.split] += 1
                continue
            try:
                if row.problem:
                    raise RowProblem(row.problem)
                fields = layout.parse(row.values, row.classes)
                record = _record(row, fields, entry, split, file, journal, pictures)
                _note_long_texts(record, journal)
            except RowProblem as problem:
                journal.reject(row, place, str(problem))
                continue
            seen.add(fields)
            passed += 1
            yield record
        for name, count in unknown.items():
            journal.note("split left out", f"{place}: {excerpt(name)}, {count} rows; used are {', '.join(SPLIT_NAMES)}")
        if not passed:
            bad = rows - sum(unknown.values())
            first = f"; {bad} are bad, the first: {journal.rejected[-bad]['reason']}" if bad else ""
            raise DataError(f"there are no rows to use{first}", place)
        journal.findings.extend(seen.findings())


def _folder_of(place: Path | str) -> Path | None:
    """Where the pictures of a file must lie; a data set of the hub holds its own."""
    if isinstance(place, str):
        return None
    return place if place.is_dir() else place.parent


class _Seen:
    """What to tell of a whole file: what its rows hold that isn't used, and what was decided for all of them."""

    def __init__(self, file: str, layout: Layout) -> None:
        self.file, self.layout = file, layout
        self.unused: Counter[str] = Counter()
        self.conversations = self.preferred = self.pictured = self.pictures = self.markers = 0

    def add(self, fields: Fields) -> None:
        """Take note of a row."""
        self.unused.update(fields.unused)
        self.conversations += any(turn.role == "assistant" for turn in fields.turns)
        self.preferred += fields.preferred
        self.pictured += bool(fields.pictures)
        self.pictures += len(fields.pictures)
        said = (fields.instruction, fields.input, *(turn.content for turn in fields.turns))
        self.markers += not fields.pictures and any(MARKER in text for text in said)

    def findings(self) -> list[str]:
        """A line for each of what there is to tell."""
        found = []
        if self.unused:
            told = [f"{excerpt(name, 80)[1:-1]} ({_counted(count)})" for name, count in self.unused.items()]
            more = f", … ({len(told)} in all)" if len(told) > SHOWN_COLUMNS else ""
            kept = "; `reasoning: keep` makes reasoning a part of the answer" if self._holds_reasoning() else ""
            found.append(f"{self.file}: not used: {', '.join(told[:SHOWN_COLUMNS])}{more}{kept}")
        if self.conversations:
            learned, other = "the last answer of each is", "`turns: all` learns every answer"
            if self.layout.turns == "all":
                learned, other = "every answer is", "`turns: last` learns the last one alone"
            count = "1 conversation" if self.conversations == 1 else f"{self.conversations} conversations"
            found.append(f"{self.file}: {count} of several answers; {learned} learned ({other})")
        if self.preferred:
            found.append(f"{self.file}: {_counted(self.preferred)} of preferences; the chosen answer is learned")
        if self.pictured:
            found.append(f"{self.file}: {_counted(self.pictured)} with pictures, {self.pictures} in all")
        if self.markers:
            found.append(
                f"{self.file}: {_counted(self.markers)} with {MARKER} and no picture; it is a text like others"
            )
        return found

    def _holds_reasoning(self) -> bool:
        return self.layout.reasoning == "drop" and any(
            normal(name.rpartition(".")[2]) in FIELDS["reasoning"] for name in self.unused
        )


def _counted(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _record(
    row: Row, fields: Fields, entry: Entry, split: str, file: str, journal: Journal, pictures: PictureReader
) -> Record:
    said = (split or row.split or fields.split).strip()
    if said and said.lower() not in SPLIT_NAMES:
        raise RowProblem(f"the split is {excerpt(said)}; expected one of {', '.join(SPLIT_NAMES)}")
    task = entry.name
    if fields.task and fields.task != entry.name and not entry.named:
        task = check_name(fields.task, file, row.line)
    if fields.blank:
        journal.note("blank reference left out", f"{file}, line {row.line}: {fields.blank} beside others")
    example = Example(
        fields.instruction,
        fields.input,
        fields.outputs,
        task,
        fields.source or f"{file}:{row.line}",
        fields.turns,
        fields.options,
        pictures.read(fields.pictures),
        metadata=fields.metadata,
        provenance=fields.provenance,
    )
    return Record(example, SPLIT_NAMES.get(said.lower(), ""), fields.source, file, row.line, fields.options_from)


def _note_long_texts(record: Record, journal: Journal) -> None:
    example = record.example
    for what, texts in (
        ("instruction", (example.instruction,)),
        ("input", (example.input,)),
        ("output", example.outputs),
        ("longest turn", tuple(turn.content for turn in example.turns)),
    ):
        longest = max(map(len, texts), default=0)
        if longest > LARGEST_FIELD:
            raise RowProblem(f"the {what} has {longest:,} characters; at most {LARGEST_FIELD:,} are read")
        if longest > LARGE_FIELD:
            place = f"{record.file}, line {record.line}"
            journal.note("very long text", f"{place}: the {what} has {longest:,} characters")
