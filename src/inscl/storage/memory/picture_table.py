"""Pictures in the memory's table ``pictures``: each content once, whatever examples ask about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from inscl.contract import Example
from inscl.contract.example import Image
from inscl.storage.memory.rows import record_batch
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PictureTable"]

_BYTES = 1 << 25
"""A batch holds about this many bytes of pictures, and at least one picture."""


class PictureTable(Table):
    """A table of pictures by their digests. Adding makes a fragment, or none where all pictures are known."""

    _places: tuple[int | None, dict[str, int]] | None = None
    """A version, and where each picture is in its concatenated fragments."""

    def with_content(self, example: Example) -> Example:
        """The example with pictures whose bytes are read from here when they are needed."""
        if not example.images:
            return example
        read = (replace(image, read=partial(self.content, image.digest)) for image in example.images)
        return replace(example, images=tuple(read))

    def content(self, digest: str) -> bytes:
        """The bytes of a picture.

        Raises:
            WorkspaceError: It isn't there, or can't be read.
        """
        if self._places is None or self._places[0] != self.version:
            held = [digest for digests in self._held().values() for digest in digests]
            self._places = (self.version, {one: place for place, one in enumerate(held)})
        place = self._places[1].get(digest)
        if place is None:
            raise self.failure(f"the picture {digest[:12]} is missing")
        return bytes(self.take(self._fragments(), [place], ["content"])["content"][0].as_py())

    def add(self, examples: Iterable[Example]) -> None:
        """Keep the pictures of some examples that aren't kept yet.

        Raises:
            DataError: One can't be read any more, or has changed since the data was read.
        """
        known = {digest for held in self._held().values() for digest in held}
        images = (image for example in examples for image in example.images)
        new = {image.digest: image for image in images if image.digest not in known}
        self.append(_batches(new.values()), _schema())

    def keep_only(self, used: Set[str]) -> None:
        """Leave all others out of the next version."""
        for number, held in self._held().items():
            if used >= set(held):
                continue
            kept = [Image("", digest, partial(self.content, digest)) for digest in held if digest in used]
            self.append(_batches(kept), _schema())
            self.remove([number])

    def _held(self) -> dict[int, list[str]]:
        """Number of a fragment -> the digests of its pictures."""
        return {
            number: [
                digest for batch in self.scan(((number, count),), ["digest"]) for digest in batch["digest"].to_pylist()
            ]
            for number, count in self._fragments()
        }


def _batches(images: Iterable[Image]) -> Iterator[pa.RecordBatch]:
    digests: list[str] = []
    contents: list[bytes] = []
    for image in images:
        digests.append(image.digest)
        contents.append(image.content)
        if sum(map(len, contents)) >= _BYTES:
            yield record_batch(_schema(), [digests, contents])
            digests, contents = [], []
    if digests:
        yield record_batch(_schema(), [digests, contents])


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"digest": pa.string(), "content": pa.large_binary()})
