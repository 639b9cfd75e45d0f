"""A tagger with a cache on disk: no instruction is tagged twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from inscl.contract.seams import Tagger
from inscl.contract.traits import TaggerTraits, traits_of
from inscl.errors import ModelError
from inscl.storage.files.cache import Cache

__all__ = ["CachedTagger"]


class CachedTagger:
    """Asks a tagger only for the distinct instructions whose tags aren't at hand yet.

    What a tagger without a `fingerprint` gives is remembered by this object and not on disk, since nothing says whose
    tags are in the cache.

    Args:
        tagger: Any tagger.
        path: The cache file; made when needed.

    Attributes:
        computed: How many instructions the tagger was asked for so far.
    """

    def __init__(self, tagger: Tagger, path: Path) -> None:
        self.tagger, self.path, self.computed = tagger, path, 0
        self._made: dict[str, list[str]] = {}

    @property
    def fingerprint(self) -> str | None:
        """The tagger's own; None if it has none."""
        found = getattr(self.tagger, "fingerprint", None)
        return found if isinstance(found, str) and found else None

    def __call__(self, instructions: Sequence[str]) -> list[list[str]]:
        """Tags of each instruction, in the same order.

        Raises:
            ModelError: The tagger gave something else than a list of strings for each instruction.
            WorkspaceError: The cache can't be read or written.
        """
        known = self.known(instructions)
        if any(text not in known for text in instructions):
            # Where another process is at the same instructions, its tags are taken over: they may be paid for.
            with Cache(self.path, self.fingerprint).alone() if self.fingerprint else nullcontext():
                known = self._complete(self.known(instructions), instructions)
        return [list(known[text]) for text in instructions]

    def _complete(self, known: dict[str, list[str]], instructions: Sequence[str]) -> dict[str, list[str]]:
        missing = [text for text in dict.fromkeys(instructions) if text not in known]
        # A tagger that keeps each answer itself is asked for all at once: it knows best how many to have on their way.
        traits = traits_of(self.tagger, TaggerTraits)
        chunk = len(missing) if traits.keeps_answers else traits.at_once
        for start in range(0, len(missing), chunk or 1):
            known |= self._compute(missing[start : start + chunk])
        return known

    def known(self, instructions: Iterable[str]) -> dict[str, list[str]]:
        """The tags that are at hand, by instruction; asks nobody."""
        texts = list(dict.fromkeys(instructions))
        if self.fingerprint is None:
            return {text: self._made[text] for text in texts if text in self._made}
        return {text: decode_tags(value) for text, value in Cache(self.path, self.fingerprint).get(texts).items()}

    @property
    def asks(self) -> bool:
        """Whether the tagger asks a server, keeps what it says itself, or costs money."""
        traits = traits_of(self.tagger, TaggerTraits)
        return traits.keeps_answers or traits.costs

    def _compute(self, texts: Sequence[str]) -> dict[str, list[str]]:
        result = list(self.tagger(texts))
        self.computed += len(texts)
        return self.keep(texts, result)

    def keep(self, texts: Sequence[str], result: Sequence[Any]) -> dict[str, list[str]]:
        """Keep tags that this tagger, or one of the same fingerprint, gave; returns them by text.

        Raises:
            ModelError: They are something else than a list of strings for each text.
            WorkspaceError: The cache can't be written.
        """
        name = f"the tagger {type(self.tagger).__name__}"
        if len(result) != len(texts):
            raise ModelError(f"{name} gave {len(result)} lists of tags for {len(texts)} instructions")
        for text, own in zip(texts, result, strict=True):
            if isinstance(own, str) or not all(isinstance(tag, str) for tag in own):
                raise ModelError(f"{name} gave tags that are no strings for the instruction {text[:80]!r}")
        fresh = dict(zip(texts, map(list, result), strict=True))
        if self.fingerprint is None:
            self._made |= fresh
        else:
            Cache(self.path, self.fingerprint).put({text: encode_tags(tags) for text, tags in fresh.items()})
        return fresh


def encode_tags(tags: Sequence[str]) -> bytes:
    """Tags as bytes of JSON."""
    return json.dumps(list(tags)).encode()


def decode_tags(value: bytes) -> list[str]:
    """The inverse of `encode_tags`."""
    return [str(tag) for tag in json.loads(value)]
