"""The intentions of a whole stream: tags its instructions, merges synonyms, computes each instruction's InsInfo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract.seams import Progress
from inscl.contract.traits import TaggerTraits, traits_of
from inscl.engine.parts import Parts
from inscl.engine.plan import stream_of
from inscl.planning.on_ray import OnRay, fill
from inscl.storage.files.atomic import write_jsonl
from inscl.tagging.information import instruction_information
from inscl.tagging.merging import merge_tags

__all__ = ["TaggedInstruction", "estimate_tagging", "tag_stream"]


@dataclass(frozen=True)
class TaggedInstruction:
    """One instruction of a task with its tags.

    Attributes:
        task: The task that it belongs to.
        instruction: The text.
        frequency: Train examples of the task that carry it.
        tags: Its tags after normalising and merging.
        insinfo: Its InsInfo over the whole stream, nats.
    """

    task: str
    instruction: str
    frequency: int
    tags: tuple[str, ...]
    insinfo: float


def tag_stream(
    config: RunConfig | Mapping[str, Any] | str | Path,
    out: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    on: OnRay | None = None,
    progress: Progress | None = None,
) -> list[TaggedInstruction]:
    """Tag every instruction of a stream; N and f of InsInfo are counted over all its distinct instructions.

    Args:
        config: As for `inscl.run`; its ``stream`` and ``replay`` sections count.
        out: Where to write one JSON line an instruction; None writes nothing.
        overrides: Changes to the configuration.
        on: A cluster on which instructions are tagged; None tags them here.
        progress: Where to tell how far it is.

    Raises:
        ConfigError: The configuration has mistakes.
        EndpointError: The tagger's server fails; what it answered before is kept.
    """
    settings = load_config(config, overrides)
    stream = stream_of(settings)
    parts = Parts.of(settings, progress)
    parts.check()
    texts = list(dict.fromkeys(text for task in stream for text in task.instructions))
    parts.progress.phase(f"tag {len(texts)} instructions", len(texts))
    if on is not None:
        fill(parts, "tagger", texts, on, lambda count: None)
    raw = parts.tagger(texts)
    parts.progress.advance(len(texts))
    options = {
        key.removeprefix("merge_"): value for key, value in settings.replay.params.items() if key.startswith("merge_")
    }
    merged = merge_tags(raw, parts.tag_embedder, **options)
    values = dict(zip(texts, zip(merged, instruction_information(merged), strict=True), strict=True))
    rows = [
        TaggedInstruction(task.name, text, count, tuple(values[text][0]), float(values[text][1]))
        for task in stream
        for text, count in task.instruction_counts.items()
    ]
    if out is not None:
        write_jsonl(out, [asdict(row) for row in rows])
    return rows


def estimate_tagging(config: RunConfig | Mapping[str, Any] | str | Path, overrides: Sequence[str] = ()) -> str | None:
    """What tagging a stream would cost, in one line; None for a tagger that costs nothing."""
    settings = load_config(config, overrides)
    cached: Any = Parts.of(settings).tagger
    tagger = cached.tagger
    if not traits_of(tagger, TaggerTraits).costs:
        return None
    texts = list(dict.fromkeys(text for task in stream_of(settings) for text in task.instructions))
    return str(tagger.estimate(texts))
