"""Embedding ahead of time fills the cache that plans read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.config.loading import load_config
from inscl.engine.parts import Parts
from inscl.errors import ConfigError
from inscl.planning import vectors
from inscl.planning.vectors import embed_stream
from streams import toy_stream


def settings(folder: Path, **replay: Any) -> dict[str, Any]:
    return {"stream": {"path": str(toy_stream(folder / "stream"))}, "replay": {"embedder": "ngrams", **replay}}


def test_only_what_is_not_known_is_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(vectors, "CHUNK", 4)
    config = load_config(settings(tmp_path, tag_embedder=None))
    parts: Any = Parts.of(config)
    parts.embedder(["Do the upper job."])
    done = embed_stream(config)
    assert (done.instructions, done.computed, done.cache) == (8, 7, tmp_path / "cache")
    assert embed_stream(config).computed == 0
    again: Any = Parts.of(config)
    again.embedder(["Please do the length job.", "Kindly do the backwards job."])
    assert again.embedder.computed == 0


def test_an_embedder_whose_vectors_cannot_be_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inscl.embedding.ngrams import NgramEmbedder

    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(NgramEmbedder, "fingerprint", None)
    with pytest.raises(ConfigError, match=r"replay\.embedder.*no fingerprint"):
        embed_stream(settings(tmp_path))
