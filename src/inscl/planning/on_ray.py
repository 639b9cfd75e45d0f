"""Vectors and tags of many instructions, made on a Ray cluster by Ray Data and kept in the cache of this machine."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inscl.config.loading import load_config
from inscl.embedding.cached import CachedEmbedder
from inscl.engine.cluster import connected
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, ModelError, Problem
from inscl.tagging.cached import CachedTagger

__all__ = ["CHUNK", "OnRay", "dealt", "fill", "last_line", "place_of"]

CHUNK = 256
"""Instructions that a worker is given at a time; as many as `CachedEmbedder` gives an embedder, so that the batches,
and with them the rounding of vectors, are the same wherever they are made."""

Part = Literal["embedder", "tagger"]


@dataclass(frozen=True)
class OnRay:
    """A Ray cluster on which components run.

    It is the cluster that this machine is a part of (or that the variable ``RAY_ADDRESS`` names), else one of this
    machine alone. Ray Data doesn't work through the server for Ray's clients.

    Attributes:
        workers: Most workers; None: as many as the cluster has room for.
        gpus: GPUs, or the share of one, that each worker gets.
    """

    workers: int | None = None
    gpus: float = 0


def place_of(name: str, workers: int | None = None, gpus: float = 0) -> OnRay | None:
    """The place that the value of an option ``--on`` names; None for ``local``.

    Raises:
        ConfigError: It names another, or GPUs or workers of this machine.
    """
    if name == "ray":
        return OnRay(workers, gpus)
    if name.startswith("ray://"):
        said = f"Ray Data works on a machine of the cluster alone: give the command there, with --on ray, not {name}"
        raise ConfigError([Problem("--on", said)], "command line")
    if name != "local":
        raise ConfigError([Problem("--on", f"expected local or ray, got {name!r}")], "command line")
    if workers is not None or gpus:
        raise ConfigError("--workers and --gpus need --on ray", "command line")
    return None


def fill(parts: Parts, part: Part, texts: Sequence[str], place: OnRay, made: Callable[[int], None]) -> None:
    """Have the cache of a configured component hold the results for all texts; those it holds aren't made again.

    Results are kept as they come, so that an interrupted call goes on where it was.

    Args:
        parts: The configured components.
        part: ``embedder`` or ``tagger``.
        texts: Distinct instructions.
        place: Where they are made.
        made: Told how many more are kept.

    Raises:
        ConfigError: The component has no fingerprint, so that nothing of it can be kept; or it asks a server, which
            more workers make no faster.
        ModelError: It fails on a worker, or a worker has another version or model than this machine.
        MissingExtraError, EndpointError: As for `connected`.
    """
    cached = _cached(parts, part)
    known = cached.known(texts)
    missing = [text for text in texts if text not in known]
    if not missing:
        return
    settings = parts.config.model_dump_json()
    for some, results in _computed(settings, part, str(cached.fingerprint), missing, place):
        cached.keep(some, results)
        made(len(some))


def _cached(parts: Parts, part: Part) -> CachedEmbedder | CachedTagger:
    component: Any = getattr(parts, part)
    key, name = f"replay.{part}", getattr(parts.config.replay, part)
    said = ""
    if not isinstance(component, CachedEmbedder | CachedTagger) or component.fingerprint is None:
        said = f"{name!r} has no fingerprint, so its results can't be kept: leave --on out"
    elif isinstance(component, CachedTagger) and component.asks:
        said = f"{name!r} asks a server: raise its `concurrency` and leave --on out"
    if said:
        raise ConfigError([Problem(key, said)], "--on")
    cached: CachedEmbedder | CachedTagger = component
    return cached


def _computed(
    settings: str, part: Part, fingerprint: str, texts: Sequence[str], place: OnRay
) -> Iterator[tuple[list[str], list[Any]]]:
    """Some of the texts with their results, in no order, until all have come."""
    import pyarrow as pa

    with connected(None, f"the {part} on Ray") as ray:
        # As bytes: a text may hold halves of surrogate pairs, which are no UTF-8.
        chunks = [[_encoded(text) for text in texts[at : at + CHUNK]] for at in range(0, len(texts), CHUNK)]
        table = pa.table({"texts": pa.array(chunks, pa.list_(pa.binary()))})
        try:
            for row in dealt(table, Worker, (settings, part, fingerprint), place):
                yield [_decoded(text) for text in row["texts"]], _unpacked(row["results"], len(row["texts"]))
        except ray.exceptions.RayError as error:
            raise ModelError(f"the {part} failed on Ray: {last_line(error)}") from error


def dealt(table: Any, worker: type, arguments: tuple[Any, ...], place: OnRay) -> Iterator[dict[str, Any]]:
    """The rows that workers make of a table's, in no order; Ray Data deals them out, and again where one is lost.

    Args:
        table: An Arrow table; a worker is given one row at a time.
        worker: Its class: an object of it turns a table into another.
        arguments: Of its constructor.
        place: The cluster.

    Raises:
        RayError: A worker failed by itself.
    """
    from ray import data

    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it says where its logs are, and how it goes on
    done = data.from_arrow(table, override_num_blocks=min(len(table), 1000)).map_batches(
        worker,
        fn_constructor_args=arguments,
        batch_size=1,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(min_size=1, max_size=place.workers),
        num_cpus=1,
        num_gpus=place.gpus,
    )
    for batch in done.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from batch.to_pylist()


def last_line(error: Exception) -> str:
    """What an error of Ray says in the end: what failed, without where."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return said[-1] if said else type(error).__name__


class Worker:
    """A component on a worker of Ray, made as on the machine that asked.

    Args:
        settings: The configuration, as JSON.
        part: ``embedder`` or ``tagger``.
        fingerprint: The component's where the texts are from.

    Raises:
        ModelError: Here it has another.
    """

    def __init__(self, settings: str, part: Part, fingerprint: str) -> None:
        cached: Any = getattr(Parts.of(load_config(json.loads(settings))), part)
        if cached.fingerprint != fingerprint:
            raise ModelError(
                f"node {socket.gethostname()} has another {part} than the machine that asked ({cached.fingerprint}, "
                f"not {fingerprint}): install the same version and model"
            )
        self.cached, self.component = cached, getattr(cached, part)

    def __call__(self, batch: Any) -> Any:
        """Chunks of texts -> the same with their results as bytes."""
        import pyarrow as pa

        results = []
        for chunk in batch["texts"].to_pylist():
            texts = [_decoded(text) for text in chunk]
            made = self.component(texts)
            vectors = isinstance(self.cached, CachedEmbedder)
            results.append(_packed(list(self.cached.checked(texts, made).values()) if vectors else made, vectors))
        return pa.table({"texts": batch["texts"], "results": pa.array(results, pa.binary())})


def _packed(results: Sequence[Any], vectors: bool) -> bytes:
    """Vectors as float32 numbers one after the other, tags as JSON."""
    if vectors:
        return b"v" + np.stack(results).astype("<f4").tobytes()
    return b"t" + json.dumps([own if isinstance(own, str) else list(own) for own in results]).encode()


def _unpacked(value: bytes, count: int) -> Any:
    """The inverse of `_packed`: an array of `count` rows, or as many lists of tags."""
    if value.startswith(b"v"):
        return np.frombuffer(value[1:], dtype="<f4").reshape(count, -1)
    return json.loads(value[1:])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", errors="surrogatepass")
