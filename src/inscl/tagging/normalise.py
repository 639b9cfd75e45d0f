"""One spelling for a tag: "Question-Answering" and "question  answers" are the same."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["lemma", "normalise_tag"]


@lru_cache(maxsize=1 << 18)
def normalise_tag(tag: str) -> str:
    """Lower case, letters only, base forms, single spaces (InsCL, released code; its lemmas are WordNet's).

    Letters of every script are kept. What isn't a letter becomes a space, an apostrophe with what belongs to it too.

    Returns:
        The normalised tag; empty when nothing of it was a letter, and then to be dropped.
    """
    # Accents written as combining marks belong to their letter: they are kept beside it.
    kept = "".join(c if c.isalpha() or _is_mark(c) else " " for c in tag.casefold())
    return " ".join(lemma(word) for word in kept.split() if any(c.isalpha() for c in word))


@lru_cache(maxsize=65536)
def lemma(word: str) -> str:
    """The base form of one English word in lower case; a word that isn't known is returned as it is."""
    import simplemma

    if len(word) <= 2 and word not in ("is", "am"):
        return word  # letters and abbreviations: "c", "ai", "us"
    return str(simplemma.lemmatize(word, lang="en")).lower()


def _is_mark(character: str) -> bool:
    import unicodedata

    return unicodedata.category(character).startswith("M")
