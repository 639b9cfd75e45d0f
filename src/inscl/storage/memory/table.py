"""One Lance table that is only ever appended to and freed of whole fragments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from inscl.errors import WorkspaceError
from inscl.storage.memory.checksums import Checksums, told
from inscl.storage.memory.place import Place, is_failure

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Fragments", "Table"]

# Each stage adds a file to some tables; at this many, the newest are put together in one.
_FRAGMENTS = 32

Fragments = tuple[tuple[int, int], ...]
"""Ids of fragments with their numbers of rows."""


class Table:
    """A Lance table at one version. Writing makes a new version; this object then stands for that one.

    Rows are never changed in place: a fragment, which is one file, is written once and later removed whole. So a
    deletion is physical as soon as `clean` has run, and nothing else of the table is written again for it.

    Args:
        place: The memory's place.
        name: The table's name in it.
        version: The version that counts; None for a table that doesn't exist, whatever a killed process left there.
        checksums: Those of the state that names the version.
    """

    def __init__(self, place: Place, name: str, version: int | None, checksums: Checksums) -> None:
        self.name, self.uri, self.version = name, place.table(name), version
        self.checksums = checksums
        self._place = place
        self._opened: Any = None

    def open(self) -> Any:
        """The table at its version. Once opened it stays readable while later versions keep its fragments."""
        import lance

        if self._opened is None:
            with self.reading():
                self.checksums.check(self._manifest(), whole=True)
                # Whole texts pass once; the default caches of several gigabytes would only hold them.
                self._opened = lance.dataset(
                    self.uri,
                    version=self.version,
                    index_cache_size_bytes=1 << 20,
                    metadata_cache_size_bytes=32 << 20,
                )
        return self._opened

    def append(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Fragments:
        """Add rows; returns the fragments that hold them, in order."""
        import lance
        import pyarrow as pa

        first = next(rows := iter(batches), None)
        if first is None:
            return ()
        reader = pa.RecordBatchReader.from_batches(schema, chain([first], rows))
        before = dict(self._fragments())
        self.settle()
        mode = "create" if self.version is None else "append"
        self._set(lance.write_dataset(reader, self.uri, schema=schema, mode=mode))
        return tuple((number, count) for number, count in self._fragments() if number not in before)

    def remove(self, fragments: Iterable[int]) -> None:
        """Leave whole fragments out of the next version; their files go with `clean`."""
        import lance

        gone = sorted(set(fragments))
        if gone and self.version is not None:
            self.settle()
            operation = lance.LanceOperation.Delete([], gone, "true")
            self._set(lance.LanceDataset.commit(self.uri, operation, read_version=self.version))

    def remove_all(self) -> None:
        """Leave every row out of the next version."""
        self.remove(number for number, _ in self._fragments())

    def count_fragments(self) -> int:
        """How many files of rows the table has."""
        return len(self._fragments())

    @property
    def fragments(self) -> Fragments:
        """All of them with their numbers of rows, in order."""
        return self._fragments()

    def merge_tail(self) -> None:
        """Put the newest files of rows together in one, if there are many, so that reading them all stays quick.

        A file is left alone while it has more than twice the rows of all newer ones, so that over many stages a row is
        written again a few times only. The order of rows stays.
        """
        fragments = self._fragments()
        if len(fragments) < _FRAGMENTS:
            return
        first, rows = len(fragments) - 1, fragments[-1][1]
        while first and fragments[first - 1][1] <= 2 * rows:
            first -= 1
            rows += fragments[first][1]
        merged = fragments[first:]
        if len(merged) < 2:
            merged = fragments
        schema = self.open().schema
        self.append(self.scan(merged, schema.names), schema)
        self.remove(number for number, _ in merged)

    def settle(self) -> None:
        """Go back to the version that counts, if a killed process left later ones."""
        if self.version is not None:
            dataset = self.open()
            if dataset.latest_version != self.version:
                dataset.restore()
                self._set(dataset)
            return
        self._place.discard(self.name)

    def clean(self) -> None:
        """Delete the files of all other versions, and whatever killed processes left."""
        if self.version is None:
            return
        if not self._place.keep_only(self.name, self.files()):
            self.open().cleanup_old_versions(retain_versions=1, delete_unverified=True)

    def files(self) -> list[str]:
        """Paths, inside the memory's place, of the files that this version is made of."""
        if self.version is None:
            return []
        data = [path for number, _ in self._fragments() for path in self._data(self.open().get_fragment(number))]
        transaction = self.open().read_transaction(self.version)
        log = (
            [f"{self.name}.lance/_transactions/{transaction.read_version}-{transaction.uuid}.txn"]
            if transaction
            else []
        )
        return [self._manifest(), *log, *data]

    def take(self, fragments: Fragments, rows: Sequence[int], columns: list[str]) -> pa.Table:
        """Rows by their positions in the concatenated fragments; positions strictly ascending, at least one."""
        import pyarrow as pa

        parts, start = [], 0
        with self.reading():
            for number, count in fragments:
                inside = [row - start for row in rows if start <= row < start + count]
                if inside:
                    parts.append(self._sound(number).take(inside, columns=columns))
                start += count
            return pa.concat_tables(parts)

    def scan(
        self,
        fragments: Fragments | None,
        columns: list[str],
        batch: int = 1024,
        limit: int | None = None,
        offset: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Batches of the given fragments in order, or of all; never more than `batch` rows at once."""
        if self.version is None:
            return
        with self.reading():
            chosen = self._fragments() if fragments is None else fragments
            missing = max(0, sum(count for _, count in chosen) - offset)
            missing = missing if limit is None else min(limit, missing)
            if not missing:
                return
            scanner = self.open().scanner(
                columns=columns,
                fragments=[self._sound(number) for number, _ in chosen],
                batch_size=batch,
                batch_readahead=2,
                limit=limit,
                offset=offset or None,
                scan_in_order=True,
            )
            batches = iter(scanner.to_batches())
        while True:
            with self.reading():
                found = next(batches, None)
            if found is None:
                break
            missing -= found.num_rows
            yield found
        if missing:
            raise self.failure(f"{missing} rows are missing")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Whatever goes wrong inside becomes a WorkspaceError that names the damaged files, if there are any."""
        try:
            yield
        except WorkspaceError:
            raise
        except BaseException as error:
            # Damaged rows may have any type.
            if not isinstance(error, Exception) and not is_failure(error):
                raise
            raise self.failure(str(error)) from error

    def failure(self, what: str) -> WorkspaceError:
        """An error for this table: which of its files are damaged, or, if none is, `what`."""
        damaged = self.checksums.damaged(f"{self.name}.lance/")
        return WorkspaceError(told(damaged) if damaged else f"the memory's table {self.uri} can't be read: {what}")

    def _fragments(self) -> Fragments:
        if self.version is None:
            return ()
        return tuple((fragment.fragment_id, fragment.count_rows()) for fragment in self.open().get_fragments())

    def _sound(self, number: int) -> Any:
        fragment = self.open().get_fragment(number)
        if fragment is None:
            raise self.failure(f"it has no fragment {number}")
        for path in self._data(fragment):
            self.checksums.check(path)
        return fragment

    def _data(self, fragment: Any) -> list[str]:
        return [f"{self.name}.lance/data/{file.path}" for file in fragment.data_files()]

    def _manifest(self) -> str:
        # Lance counts the names of versions down, so that the latest is the first in a listing.
        return f"{self.name}.lance/_versions/{2**64 - 1 - (self.version or 0):020d}.manifest"

    def _set(self, dataset: Any) -> None:
        self._opened, self.version = dataset, dataset.version
