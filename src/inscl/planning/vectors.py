"""Embeds the instructions of a stream before they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract.seams import Progress
from inscl.engine.parts import Parts
from inscl.engine.plan import stream_of
from inscl.errors import ConfigError, Problem
from inscl.planning.on_ray import CHUNK, OnRay, fill
from inscl.storage.files.cache import cache_dir

__all__ = ["Embedded", "embed_stream"]


@dataclass(frozen=True)
class Embedded:
    """What was embedded.

    Attributes:
        instructions: Distinct instructions of the stream.
        computed: Those that were embedded now; the others were known.
        cache: The folder with the vectors, in which plans and runs on this machine find them.
    """

    instructions: int
    computed: int
    cache: Path


def embed_stream(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    on: OnRay | None = None,
    progress: Progress | None = None,
) -> Embedded:
    """Embed every instruction of a stream with the configured embedder, so that plans find the vectors.

    Args:
        config: As for `inscl.run`; its ``stream`` and ``replay`` sections count.
        overrides: Changes to the configuration.
        on: A cluster to embed on; None embeds here.
        progress: Where to tell how far it is.

    Raises:
        ConfigError: The configuration has mistakes, or the embedder has no fingerprint.
        ModelError: The embedder fails.
    """
    settings = load_config(config, overrides)
    parts = Parts.of(settings, progress)
    parts.check()
    texts = list(dict.fromkeys(text for task in stream_of(settings) for text in task.instructions))
    embedder: Any = parts.embedder
    if embedder.fingerprint is None:
        said = f"{settings.replay.embedder!r} has no fingerprint, so its vectors can't be kept for later"
        raise ConfigError([Problem("replay.embedder", said)])
    known = embedder.known(texts)
    missing = [text for text in texts if text not in known]
    parts.progress.phase(f"embed {len(missing)} instructions", len(missing))
    if on is not None:
        fill(parts, "embedder", texts, on, parts.progress.advance)
    else:
        for at in range(0, len(missing), CHUNK):
            embedder(missing[at : at + CHUNK])
            parts.progress.advance(len(missing[at : at + CHUNK]))
    return Embedded(len(texts), len(missing), cache_dir())
