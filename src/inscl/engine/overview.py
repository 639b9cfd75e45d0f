"""The files at the root of a run folder: what was run, the score matrix, the metrics."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl import metrics
from inscl.config.identity import plugins_of
from inscl.config.settings import RunConfig
from inscl.contract import Stream, Task
from inscl.models import names as model_names
from inscl.storage.files.atomic import write_json, write_text
from inscl.storage.files.integrity import digest
from inscl.storage.files.provenance import hardware, now, packages
from inscl.storage.files.sealed_files import read_sealed_json, write_sealed_json
from inscl.storage.run.ledger import Ledger
from inscl.storage.run.run_folder import RunFolder
from inscl.storage.run.scores import ScoreMatrix
from inscl.undefined import general_undefined_reason, p_score_undefined_reason, undefined_reasons

__all__ = ["Run", "manifest_of", "summarise", "summarise_workspace", "summary_of"]


@dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        path: Its folder.
        stream: What was learned.
        scores: The score matrix; ``scores.array()`` is R, shape (T + 1, T), row 0 the base model.
        metrics: Every metric by its full name, for each scorer; None where undefined.
    """

    path: Path
    stream: Stream
    scores: ScoreMatrix
    metrics: Mapping[str, Any]


def summarise(folder: RunFolder, stream: Stream, before: str = "") -> Run:
    """Write the run's ``scores.json`` and ``metrics.json`` from its stages' records.

    Args:
        folder: The run.
        stream: What it learned.
        before: A ``scores.json`` that can be trusted; if it is that of all stages but the last, only that is read.
    """
    known = ScoreMatrix.from_json(json.loads(before)) if before else None
    expected = folder.tasks[:-1], folder.scales, folder.held_out
    if known is None or (known.tasks, known.scales, known.held_out) != expected:
        known, before = None, ""
    scores = folder.scores(known)
    write_text(folder.path / "scores.json", scores.to_text(before))
    found = summary_of(scores)
    write_json(folder.path / "metrics.json", found)
    return Run(folder.path, stream, scores, found)


def summarise_workspace(folder: RunFolder, ledger: Ledger) -> None:
    """Write what stands at the root of a workspace beside its ledger: scores, metrics, manifest. A stale report goes.

    Args:
        folder: The records of the stages that count.
        ledger: The workspace's state.
    """
    path = folder.path
    for name in ("report.html",) if ledger.tasks else ("report.html", "scores.json", "metrics.json"):
        (path / name).unlink(missing_ok=True)
    manifest = read_sealed_json(path / "manifest.json")
    if ledger.tasks:
        # Only what the stages recorded is read, no examples.
        named = Stream(tuple(Task(name, ()) for name in ledger.names), "workspace")
        summarise(folder, named, _trusted_scores(path, manifest))
        manifest["scores_sha256"] = digest(path / "scores.json")
    shown = {"name", "train", "test", "instructions", "fingerprint", "settings"}
    tasks = [task.model_dump(mode="json", include=shown) for task in ledger.tasks]
    manifest["stream"] = {"name": "workspace", "fingerprint": "", "findings": [], "tasks": tasks, "held_out": []}
    # Last, since it says that the others are up to date.
    write_sealed_json(path / "manifest.json", {**manifest, "revision": ledger.revision})


def _trusted_scores(path: Path, manifest: Mapping[str, Any]) -> str:
    """``scores.json`` as it stands, if it is what the manifest was written for byte for byte; empty otherwise."""
    file = path / "scores.json"
    whole = file.exists() and digest(file) == manifest.get("scores_sha256")
    return file.read_text(encoding="utf-8", errors="surrogatepass") if whole else ""


def summary_of(scores: ScoreMatrix) -> dict[str, Any]:
    """The content of ``metrics.json``: every metric by its full name, for each scorer, and why some are undefined."""
    found: dict[str, Any] = {"schema": 1}
    undefined: dict[str, str] = {}
    for metric, scale in scores.scales.items():
        matrix = scores.array(metric), scores.expert_array(metric), scores.tasks, scale
        found[metric] = metrics.all_metrics(*matrix)
        reasons = undefined_reasons(*matrix)
        general, upper = scores.held_out_array(metric), scores.held_out_expert_array(metric)
        found[metric]["p_score"] = metrics.p_score_metrics(general, upper, scores.held_out, scale.better)
        if reason := p_score_undefined_reason(general, upper, scores.held_out, scale):
            reasons["p_score"] = reason
        if scores.held_out:
            found[metric]["general_delta"] = metrics.general_metrics(general, scores.held_out, scale.better)
            if reason := general_undefined_reason(general, scores.held_out):
                reasons["general_delta"] = reason
        undefined.update({f"{metric}.{name}": reason for name, reason in reasons.items()})
    found["undefined"] = undefined
    return found


def manifest_of(settings: RunConfig, stream: Stream) -> dict[str, Any]:
    """The content of ``manifest.json``: versions, hardware, seed, and fingerprints of stream and model."""
    learned = {task.name: len(task.train) for task in stream.for_experts}  # by their own experts
    return {
        "schema": 1,
        "created": now(),
        "inscl": packages().get("inscl", "unknown"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        "hardware": hardware(),
        "seed": settings.seed,
        "strategy": settings.replay.strategy,
        "plugins": plugins_of(settings),
        "label": settings.label or settings.replay.strategy,
        "stream": {
            "name": stream.name,
            "fingerprint": stream.fingerprint,
            "findings": list(stream.findings),
            "tasks": [_described(task) for task in stream],
            "held_out": [{**_described(task), "train": learned.get(task.name, 0)} for task in stream.held_out],
        },
        "model": {
            "name": settings.model.name,
            "fingerprint": model_names.fingerprint(model_names.resolve(settings.model.name)),
        },
    }


def _described(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "train": len(task.train),
        "test": len(task.test),
        "instructions": len(task.instructions),
        "fingerprint": task.fingerprint,
    }
