"""Vectors and tags from a Ray cluster are those of this machine, to the bit, and lie in the same cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract.seams import NullProgress
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, ModelError
from inscl.planning import on_ray
from inscl.planning.on_ray import OnRay, Worker, _packed, _unpacked, fill, place_of
from inscl.planning.tags import tag_stream
from inscl.planning.vectors import embed_stream

TEXTS = [f"Write {k} short lines about the {word} \udce9." for k in range(6) for word in ("sea", "moon", "train")]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A configuration that needs no model; the cache of this process is its own."""
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    rows = [{"instruction": text, "input": "", "output": "x", "split": "train"} for text in TEXTS]
    rows.append({"instruction": TEXTS[0], "input": "another", "output": "x", "split": "test"})
    (tmp_path / "task.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    replay = {"embedder": {"name": "ngrams", "params": {"dim": 64}}, "tag_embedder": None, "tagger": "keyphrases"}
    return load_config({"stream": {"path": str(tmp_path / "task.jsonl")}, "replay": {"strategy": "random", **replay}})


def test_what_a_cluster_makes_is_what_this_machine_makes(
    settings: RunConfig, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "CHUNK", 4)
    parts = Parts.of(settings)
    made: list[int] = []
    for part in ("embedder", "tagger"):
        fill(parts, part, TEXTS[:5], OnRay(), made.append)
        fill(parts, part, TEXTS, OnRay(workers=1), made.append)
        with monkeypatch.context() as nobody_is_asked:
            nobody_is_asked.setattr(on_ray, "connected", None)
            fill(parts, part, TEXTS, OnRay(), made.append)
    assert (sum(made), max(made)) == (2 * len(TEXTS), 4)
    known: Any = (parts.embedder, parts.tagger)
    vectors, tags = (cached.known(TEXTS) for cached in known)
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "another"))
    here: Any = Parts.of(settings)
    assert np.array_equal(np.stack([vectors[text] for text in TEXTS]), here.embedder(TEXTS))
    assert [tags[text] for text in TEXTS] == here.tagger(TEXTS)
    assert len({tuple(tags[text]) for text in TEXTS}) > 2


def test_a_stream_is_embedded_and_tagged_on_a_cluster_as_here(
    settings: RunConfig, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed_stream(settings, on=OnRay())
    assert (first.instructions, first.computed) == (len(TEXTS), len(TEXTS))
    assert embed_stream(settings).computed == 0
    there = tag_stream(settings, on=OnRay())
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "another"))
    assert embed_stream(settings).computed == len(TEXTS)
    assert there == tag_stream(settings)


def test_a_component_that_fails_on_a_worker_is_one_message(
    settings: RunConfig, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: Any = Parts.of(settings)
    monkeypatch.setattr(type(parts.embedder.embedder), "fingerprint", "another model")
    with pytest.raises(ModelError, match=r"the embedder failed on Ray: .*has another embedder than the machine"):
        fill(parts, "embedder", TEXTS, OnRay(), lambda count: None)
    assert parts.embedder.known(TEXTS) == {}


def test_a_place_is_local_or_ray() -> None:
    assert place_of("local") is None
    assert place_of("ray", 3, 0.5) == OnRay(3, 0.5)
    for name, workers, said in (
        ("ray://head:10001", None, "give the command there, with --on ray"),
        ("moon", None, "expected local or ray, got 'moon'"),
        ("local", 2, "need --on ray"),
    ):
        with pytest.raises(ConfigError, match=said):
            place_of(name, workers)


def test_a_worker_gives_the_results_of_each_chunk(settings: RunConfig) -> None:
    parts: Any = Parts.of(settings)
    chunks = [[text.encode("utf-8", "surrogatepass") for text in some] for some in (TEXTS[:2], TEXTS[2:3])]
    batch = pa.table({"texts": pa.array(chunks, pa.list_(pa.binary()))})
    made = Worker(settings.model_dump_json(), "embedder", parts.embedder.fingerprint)(batch).to_pylist()
    assert [row["texts"] for row in made] == chunks
    assert np.array_equal(_unpacked(made[0]["results"], 2), parts.embedder.embedder(TEXTS[:2]))
    with pytest.raises(ModelError, match="install the same version"):
        Worker(settings.model_dump_json(), "embedder", "another")


@pytest.mark.parametrize("tags", [[["a", "b"], []], [["é", "\udce9"]]])
def test_tags_and_vectors_come_back_as_they_were(tags: list[list[str]]) -> None:
    assert _unpacked(_packed(tags, False), len(tags)) == tags
    vectors = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert np.array_equal(_unpacked(_packed(list(vectors), True), 3), vectors)


def test_what_cannot_be_kept_or_asks_a_server_is_refused(settings: RunConfig) -> None:
    asking = settings.model_dump(mode="json")
    asking["replay"]["tagger"] = {"name": "llm", "params": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    with pytest.raises(ConfigError, match="asks a server: raise its `concurrency`"):
        fill(Parts.of(load_config(asking)), "tagger", TEXTS, OnRay(), lambda count: None)

    def nameless(texts: Sequence[str]) -> Any:
        return np.zeros((len(texts), 2))

    with pytest.raises(ConfigError, match="has no fingerprint"):
        fill(Parts(settings, NullProgress(), own_embedder=nameless), "embedder", TEXTS, OnRay(), lambda count: None)
