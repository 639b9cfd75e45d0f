"""Takes what was erased, or let go, out of the user's caches."""

from __future__ import annotations

from inscl.storage.files.cache import cache_dir, forget
from inscl.tagging.cached import decode_tags
from inscl.workspace.erasable import Erasable
from inscl.workspace.scrubbing import Scrubber

__all__ = ["clean_caches"]


def clean_caches(found: Erasable) -> int:
    """Delete what the user's caches hold of the texts and tags that went."""
    folder = cache_dir()

    def goes(value: bytes) -> bool:
        try:
            tags = decode_tags(value)
        except ValueError:
            return True  # damaged, and so computed again anyway
        return any(tag in found.tags or found.found(tag) for tag in tags)

    # Strategies embed instructions or whole prompts, and one of somebody's own whatever it likes.
    texts = found.instructions | found.embedded | found.tags
    gone = forget(folder / "embeddings.sqlite", texts)
    gone += forget(folder / "tags.sqlite", found.instructions, goes)
    return gone + forget(folder / "answers.sqlite", texts, Scrubber(found).found_in)
