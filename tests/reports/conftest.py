"""Synthetic run folders, in the format that a run writes, with text that tries to break out of the page."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inscl.contract.scale import PERCENT, Scale
from inscl.metrics import all_metrics
from inscl.storage.files.sealed_files import write_sealed_json
from inscl.storage.run.stage_record import Record

TASKS = (
    "Route_messages",
    "Order_fields_to_JSON",
    "Rewrite <b>dates",
    "Grade_reviews",
    "Redact \u202eevil\u202c names",
)
HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
    '</style></title><svg onload=alert(1)><a href="javascript:alert(2)">x</a>{{ 7*7 }}{% raw %}'
    "\x00\x1b[31m\u202eright to left\u2066 \u2028 \U000e0041 \ud800 عربى <details open ontoggle=alert(3)>"
)


SCALES = {"answer_loss": Scale("nats", "lower")}


def nats(mean: float) -> float:
    """A loss that falls as a percentage rises."""
    return (100 - mean) / 40


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass"))


def write_lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def seal_run(folder: Path) -> Path:
    """Give the files of a run folder, as they are now, the checksums that inscl would have written."""
    manifest = json.loads((folder / "manifest.json").read_bytes().decode("utf-8", "surrogatepass"))
    write_sealed_json(folder / "manifest.json", manifest)
    for done in [*folder.glob("stages/*/DONE"), *folder.glob("experts/*/DONE")]:
        done.unlink()
        Record(done.parent, 0, "").finish()
    return folder


class RunWriter:
    """Writes one run folder. `loss` is how many points an earlier task loses at each later stage."""

    def __init__(
        self,
        folder: Path,
        strategy: str = "inscl",
        label: str | None = "InsCL",
        loss: float = 1.5,
        tasks: tuple[str, ...] = TASKS,
        examples: int = 24,
        text: int = 0,
        experts: bool = True,
        finished: int | None = None,
        metrics: tuple[str, ...] = ("rouge_l", "exact_match"),
    ) -> None:
        self.folder, self.strategy, self.label, self.loss, self.tasks = folder, strategy, label, loss, tasks
        self.examples, self.text, self.experts, self.metrics = examples, text, experts, metrics
        self.finished = len(tasks) if finished is None else finished
        self.random = random.Random(strategy)

    def write(self) -> Path:
        write(self.folder / "manifest.json", self.manifest())
        (self.folder / "inscl.yaml").write_text(
            f"stream: {{path: streams/office}}\nmodel: {{name: smollm2-135m, adapter: {{kind: lora, r: 16}}}}\n"
            f"replay: {{strategy: {json.dumps(self.strategy)}, budget: {{per_task: 12}}, "
            "embedder: model, tagger: keyphrases}\n"
            "training: {epochs: 2, learning_rate: 1.0e-3, batch_size: 8}\nseed: 0\n",
            encoding="utf-8",
        )
        cells = [self.cell(0, task) for task in self.tasks]
        write(self.folder / "stages/00-base/scores.json", self.stage_scores(0, self.tasks))
        for stage in range(1, self.finished + 1):
            self.stage(stage)
            cells += [self.cell(stage, task) for task in self.tasks[:stage]]
        experts = {task: self.score(92) for task in self.tasks} if self.experts else {}
        write(
            self.folder / "scores.json",
            {
                "schema": 1,
                "metrics": {name: SCALES.get(name, PERCENT).to_json() for name in self.metrics},
                "tasks": list(self.tasks),
                "cells": cells,
                "experts": experts,
            },
        )
        if self.finished == len(self.tasks):
            write(self.folder / "metrics.json", self.metrics_json())
        return seal_run(self.folder)

    def manifest(self) -> dict[str, Any]:
        tasks = [
            {"name": task, "train": 240, "test": self.examples, "instructions": 7, "fingerprint": "0f" * 8}
            for task in self.tasks
        ]
        findings = ["2 duplicated examples in Route_messages were kept", HOSTILE]
        return {
            "schema": 1,
            "created": "2026-11-23T01:02:03Z",
            "inscl": "0.1.0",
            "python": "3.12.1",
            "platform": "Linux x86_64",
            "packages": {"torch": "2.13.0", "transformers": "5.1.0", "peft": None},
            "hardware": {"cores": 2, "memory_gib": 31.2, "gpu": None, "bf16": True},
            "seed": 0,
            "stream": {"name": "office", "fingerprint": "ab" * 16, "findings": findings, "tasks": tasks},
            "model": {"name": "smollm2-135m", "fingerprint": "cd" * 16},
            "strategy": self.strategy,
            "label": self.label,
        }

    def mean(self, stage: int, task: str) -> float:
        number = self.tasks.index(task) + 1
        if stage < number:
            return 6.0 + number
        return max(2.0, 88.0 - number - self.loss * (stage - number))

    def score(self, mean: float) -> dict[str, Any]:
        made = {
            "mean": mean,
            "standard_error": 100 * (mean * (100 - mean) / 1e4 / self.examples) ** 0.5,
            "n": self.examples,
        }
        scores = {name: {**made, "mean": mean - 4 * place} for place, name in enumerate(self.metrics)}
        if "answer_loss" in scores:
            scores["answer_loss"] = {**made, "mean": nats(mean), "standard_error": 0.05}
        return scores

    def cell(self, stage: int, task: str) -> dict[str, Any]:
        return {"stage": stage, "task": task, "scores": self.score(self.mean(stage, task))}

    def stage_scores(self, stage: int, tasks: tuple[str, ...]) -> dict[str, Any]:
        return {"schema": 1, "stage": stage, "tasks": {task: self.score(self.mean(stage, task)) for task in tasks}}

    def stage(self, stage: int) -> None:
        task = self.tasks[stage - 1]
        folder = self.folder / "stages" / (f"{stage:02d}-" + re.sub(r"[^\w.-]+", "_", task)[:80])
        plan = self.plan(stage)
        write(folder / "plan.json", plan)
        replay = plan["picks"] * 30 * 2
        write(
            folder / "learn.json",
            {
                "steps": 60,
                "examples": 480,
                "replayed": plan["picks"] * 2,
                "tokens": 14_400 + replay,
                "answer_tokens": 3_000,
                "replay_tokens": replay,
                "seconds": 41.5 + stage,
                "loss": 0.412,
                "truncated": 0,
            },
        )
        write(folder / "seconds.json", {"plan": 0.8, "train": 41.5 + stage, "evaluate": 9.25 * stage})
        write(folder / "scores.json", self.stage_scores(stage, self.tasks[:stage]))
        for earlier in self.tasks[:stage]:
            write_lines(folder / "predictions" / f"{earlier}.jsonl", self.predictions(stage, earlier))
        (folder / "DONE").touch()

    def plan(self, stage: int) -> dict[str, Any]:
        tasks = [self.share(stage, task) for task in self.tasks[: stage - 1]]
        return {
            "schema": 1,
            "new_task": self.tasks[stage - 1],
            "strategy": self.strategy,
            "parameters": {"dynamic": True},
            "budget": {"per_task": 12},
            "picks": sum(share["allocation"] for share in tasks),
            "tasks": tasks,
            "notes": ["all distances are zero: the budget was shared evenly"] if stage == 2 else [],
            "stage": stage,
            "seed": 0,
        }

    def share(self, stage: int, task: str) -> dict[str, Any]:
        ours = self.strategy == "inscl"
        words = (
            "Classify the message below",
            "Say which team should answer",
            "Name the team code for this mail",
            "Who is responsible? " + HOSTILE,
            "Read the mail and reply with one code only, nothing else",
            "Pick one of FIN, OPS, HR",
            "Sort " * 80,
        )
        items = []
        for rank, text in enumerate(words, 1):
            insinfo = round(4.2 - 0.5 * rank + self.random.random() / 3, 3) if ours else None
            items.append(
                {
                    "instruction": f"{text} ({task})",
                    "frequency": 12 + rank,
                    "picked": max(0, 5 - rank) if ours else 0 if self.strategy == "none" else 2,
                    "reason": {
                        "insinfo": insinfo,
                        "rank": rank if ours else None,
                        "tags": ["routing", "team code", "<i>mail</i>", *(["rare"] if rank < 3 else [])]
                        if ours
                        else [],
                    },
                }
            )
        distance = round(0.1 + 0.08 * abs(stage - self.tasks.index(task)), 4) if ours else None
        count = sum(item["picked"] for item in items)
        return {
            "task": task,
            "available": 240,
            "allocation": count,
            "weight": distance or 1.0,
            "reason": {"distance": distance},
            "instructions": items,
        }

    def predictions(self, stage: int, task: str) -> list[dict[str, Any]]:
        rows = []
        right = round(self.mean(stage, task) / 100 * self.examples)
        for number in range(self.examples):
            long = "word " * (self.text // 5)
            hostile = f" {HOSTILE}" if number % 5 == 4 else ""
            reference = f"FIN-{number:02d}"
            answer = reference if number < right else f"Dear customer, 12 March 2024{hostile}"
            rows.append(
                {
                    "id": f"{self.tasks.index(task):04x}{number:012x}",
                    "instruction": f"Which team answers this message?{hostile}",
                    "input": f"Hello, my invoice {number} is wrong. Could you have a look at it?{hostile} {long}",
                    "references": [reference, reference.lower()],
                    "prediction": f"{answer}{long}",
                    "scores": {
                        name: (0.25 if number < right else 2.25) if name in SCALES else (1.0 if number < right else 0.1)
                        for name in self.metrics
                    },
                }
            )
        return rows

    def metrics_json(self) -> dict[str, Any]:
        last, count = len(self.tasks), len(self.tasks)

        def kept(stage: int) -> float:
            return sum(100 * self.mean(stage, task) / 92 for task in self.tasks[: stage - 1]) / (stage - 1)

        if count == 1:
            only = {"average_performance": self.mean(1, self.tasks[0])}
            return {"schema": 1, **dict.fromkeys(self.metrics, only)}
        lost = [self.mean(stage, task) - self.mean(last, task) for stage, task in enumerate(self.tasks[:-1], 1)]
        gain = {"final": kept(last), "by_stage": {str(stage): kept(stage) for stage in range(2, last + 1)}}
        values = {
            "relative_gain": gain if self.experts else {"final": None, "by_stage": {}},
            "average_performance": sum(self.mean(last, task) for task in self.tasks) / count,
            "average_incremental": 80.5,
            "forgetting": sum(lost) / len(lost),
            "backward_transfer": -sum(lost) / len(lost),
            "forgetting_rate": {"mean": 7.7, "by_task": dict.fromkeys(self.tasks, 1.0)},
            "forward_transfer": None,
            "intransigence": 5.5 if self.experts else None,
        }
        undefined = {f"{name}.forward_transfer": "R[1][2] was not evaluated" for name in self.metrics}
        if not self.experts:
            undefined |= {f"{name}.relative_gain": "the experts were not evaluated" for name in self.metrics}
        found = {name: self.of_losses() if name in SCALES else values for name in self.metrics}
        return {"schema": 1, **found, "undefined": undefined}

    def of_losses(self) -> dict[str, Any]:
        count = len(self.tasks)
        matrix = [[nats(self.mean(0, task)) for task in self.tasks]]
        for stage in range(1, count + 1):
            row = [nats(self.mean(stage, task)) for task in self.tasks[:stage]]
            matrix.append([*row, *[float("nan")] * (count - stage)])
        experts = [nats(92)] * count if self.experts else None
        return all_metrics(matrix, experts, self.tasks, SCALES["answer_loss"])


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run folder of the given name under the test's own folder; see `RunWriter` for what can be varied."""
    return lambda folder, **options: RunWriter(tmp_path / folder, **options).write()


@pytest.fixture
def two_runs(write_run: Callable[..., Path]) -> list[Path]:
    """InsCL, which keeps most, and No Replay, which forgets."""
    return [write_run("inscl"), write_run("none", strategy="none", label="No Replay", loss=14)]
