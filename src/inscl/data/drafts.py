"""Tasks while they are read: rows gathered by task, then divided into train and test."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from inscl.data.entries import Entry
from inscl.data.layouts import Layout
from inscl.data.leak_check import LeakCheck
from inscl.data.names import check_unique
from inscl.data.options import FOUND, FoundOptions, find_options, told
from inscl.data.records import Journal, Record, read_records
from inscl.data.refined import refine_split
from inscl.data.refiner_steps import Step
from inscl.data.splits import split_by_content
from inscl.errors import DataError

__all__ = ["Draft", "read_drafts"]


@dataclass
class Draft:
    """A task while it is read.

    Attributes:
        name: The task's name.
        origin: Where it comes from, for messages.
        max_new_tokens: Longest answer to generate, where the stream says it.
        finds_options: Whether its options are found in its answers, where its rows name none.
        records: Every example, as read.
        train: Those to learn from, once divided.
        test: Those to be tested on, once divided.
        held_out: Whether the task is scored only, and never learned.
    """

    name: str
    origin: str
    max_new_tokens: int | None = None
    finds_options: bool = True
    records: list[Record] = field(default_factory=list)
    train: list[Record] = field(default_factory=list)
    test: list[Record] = field(default_factory=list)
    held_out: bool = False

    def divide(self, share: float, journal: Journal) -> None:
        """Fill train and test: as the data says, else by content hash.

        Validation rows stand in for a missing test split; where there is one, they are left out and counted. Of a task
        that is held out every row is tested on, if its data names no splits.

        Args:
            share: Part to hold out where the data has neither.
            journal: Takes what was decided.

        Raises:
            DataError: Only some rows name a split, there is nothing to learn (or, of a task that is held out, to test
                on), or too little to hold anything out.
        """
        parts: dict[str, list[Record]] = {"train": [], "test": [], "validation": [], "": []}
        for record in self.records:
            parts[record.split].append(record)
        if parts[""] and len(parts[""]) < len(self.records):
            first = parts[""][0]
            raise DataError("this row names no split, others of its task do", first.file, first.line)
        self.train, self.test = parts["train"], parts["test"]
        if self.held_out:
            self.test = self.test or parts[""]
        else:
            self.train = self.train or parts[""]
        if not self.train and not self.held_out:
            raise DataError(f"the task {self.name!r} has no train rows; nothing could be learned", self.origin)
        validation = parts["validation"]
        if validation and self.test:
            journal.note("split left out", f"validation of {self.name}, {len(validation)} rows; it has a test split")
        elif validation:
            self.test = validation
            journal.findings.append(f"{self.name} has no test split; its validation split is used")
        if self.held_out:
            self._only_scored(journal)
        elif not self.test:
            self._hold_out(share, journal)

    def settle_options(self, journal: Journal) -> None:
        """Find the options of its answers, where it may and its rows have none, and tell what its options are."""
        if self.finds_options:
            found = find_options([record.example for record in self.train or self.test])
            for split in (self.train, self.test):
                split[:] = [_with_options(record, found) for record in split]
        asked = self.train or self.test
        examples, test = ([record.example for record in split] for split in (asked, self.test))
        if finding := told(self.name, examples, test, [record.options_from for record in asked]):
            journal.findings.append(finding)

    def refine(self, steps: Sequence[Step], tested: LeakCheck, journal: Journal) -> None:
        """Refine the train split; what is rejected goes to the journal with its reason.

        Args:
            steps: The refiners.
            tested: The test examples of the stream.
            journal: Takes the counts and the rejected rows.

        Raises:
            DataError: None would be left.
        """
        done = refine_split(steps, [record.example for record in self.train], tested)
        for place, facts in done.rejected:
            record = self.train[place]
            journal.rejected.append({"file": record.file, "line": record.line, "task": self.name, **facts})
        journal.findings.extend(done.findings(self.name))
        if not done.examples:
            raise DataError(f"every train example of the task {self.name!r} was rejected by `refine`", self.origin)
        self.train = [
            record if (record := self.train[place]).example is example else replace(record, example=example)
            for example, place in done.examples
        ]

    def leave_out_of_train(self, copies: Collection[int]) -> None:
        """Drop the train records whose `id()` is in `copies`.

        Raises:
            DataError: None would be left.
        """
        self.train = [record for record in self.train if id(record) not in copies]
        if not self.train:
            raise DataError(f"every train example of the task {self.name!r} stands in a test split too", self.origin)

    def _only_scored(self, journal: Journal) -> None:
        if not self.test:
            raise DataError(
                f"the task {self.name!r} is held out and has train rows alone: give it test rows, or take it out of "
                "stream.held_out",
                self.origin,
            )
        if self.train:
            journal.findings.append(
                f"{self.name} is held out; its {len(self.train)} train rows are not learned, but by its own expert"
            )
        tested = {record.content for record in self.test}
        kept = [record for record in self.train if record.content not in tested]
        if len(kept) < len(self.train):
            journal.findings.append(
                f"{self.name}: {len(self.train) - len(kept)} of these train rows stand in its test split too; its "
                "expert doesn't learn them"
            )
        self.train = kept

    def _hold_out(self, share: float, journal: Journal) -> None:
        rows, contents = self.train, [record.content for record in self.train]
        if len(set(contents)) < 2:
            have = "one example" if len(rows) == 1 else "copies of one example only"
            raise DataError(
                f"the task {self.name!r} has {have} and no test split; it needs at least two different examples, one "
                "to learn from and one to be tested on",
                self.origin,
            )
        held_out = split_by_content(contents, share)
        self.train = [row for row, out in zip(rows, held_out, strict=True) if not out]
        self.test = [row for row, out in zip(rows, held_out, strict=True) if out]
        journal.findings.append(
            f"{self.name} has no test split; {len(self.test)} of {len(rows)} examples were held out by content"
        )


def _with_options(record: Record, found: FoundOptions) -> Record:
    if not found.of(record.example):
        return record
    return replace(record, example=found.set_on(record.example), options_from=FOUND)


def read_drafts(entries: Sequence[Entry], layout: Layout, journal: Journal) -> dict[str, Draft]:
    """Read every file; rows that name a task go there, all others to the task of their file.

    Args:
        entries: Which files.
        layout: What columns mean, where an entry has no mapping of its own.
        journal: Takes findings and bad rows.

    Returns:
        Task name -> draft, in the order of the entries.

    Raises:
        DataError: A file or row can't be used, or two tasks have one name.
    """
    drafts: list[Draft] = []
    for entry in entries:
        journal.findings.extend(entry.findings)
        own: dict[str, Draft] = {}
        mine = replace(
            layout,
            columns=layout.columns if entry.columns is None else entry.columns,
            options=layout.options if entry.options is None else entry.options,
        )
        for record in read_records(entry, mine, journal):
            name = record.example.task
            if name not in own:
                own[name] = Draft(name, str(entry.parts[0][0]), entry.max_new_tokens, mine.options == "found")
            own[name].records.append(record)
        drafts.extend(own.values())
    check_unique((draft.name, draft.origin) for draft in drafts)
    return {draft.name: draft for draft in drafts}
