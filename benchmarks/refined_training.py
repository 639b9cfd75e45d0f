"""Whether training on refined rows helps on the original test rows.

    python benchmarks/refined_training.py STREAM --tasks A B --arm original=FOLDER --arm NAME=FOLDER,FOLDER --out FILE

Every arm is a set of train rows: those of one stream folder, or the distinct ones of several. A fresh model learns the
rows of all tasks of an arm at once, once for each seed, and is then scored on test rows of STREAM: answer_loss, and
choice accuracy where the answers are closed. The first arm is the reference. Differences from it are means over test
questions of the mean over seeds, with 95 % percentile bootstrap intervals that draw questions; seeds differ in LoRA's
initial weights and in the order of the rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.data import load_stream
from inscl.learners.fine_tune import FineTune
from inscl.storage.files.atomic import write_json

RESAMPLES = 10_000


def rows_of(folders: Sequence[str]) -> list[Example]:
    """The distinct train rows of all tasks in these folders."""
    found = {one.id: one for folder in folders for task in load_stream(folder, options="given") for one in task.train}
    return list(found.values())


def taught(rows: Sequence[Example], seed: int, given: argparse.Namespace) -> FineTune:
    learner = FineTune(
        given.model,
        adapter={"kind": "lora", "r": 16},
        epochs=given.epochs,
        learning_rate=given.learning_rate,
        batch_size=4,
        batching="pack",
        prompt="plain",
        seed=seed,
    )
    if rows:
        learner.learn(Task("all", tuple(rows)), ReplayPlan.nothing("all"))
    return learner


def scored(learner: FineTune, tested: Sequence[Example]) -> dict[str, NDArray[np.float64]]:
    """Nats and tokens of each answer, and whether the right option is the likeliest (NaN where there are none)."""
    questions = [Question.of(one) for one in tested]
    losses = learner.log_likelihoods(questions, [one.output for one in tested])
    chosen = np.full(len(tested), np.nan)
    places = [k for k, one in enumerate(tested) if one.output.strip() in one.options]
    for k, found in zip(places, learner.choose([questions[k] for k in places]), strict=True):
        chosen[k] = tested[k].options[int(np.argmax(found))] == tested[k].output.strip()
    nats, tokens = np.array([-one.nats for one in losses]), np.array([float(one.tokens) for one in losses])
    return {"nats": nats, "tokens": tokens, "right": chosen}


def answer_loss(nats: NDArray[np.float64], tokens: NDArray[np.float64]) -> float:
    return float(nats.sum() / tokens.sum())


def difference(arm: NDArray[np.float64], base: NDArray[np.float64], over: NDArray[np.float64]) -> dict[str, float]:
    """Arm less reference, summed over questions and divided by the sum of `over`; with its interval."""
    drawn = np.random.default_rng(0).integers(len(over), size=(RESAMPLES, len(over)))
    apart = arm - base
    low, high = np.percentile(apart[drawn].sum(1) / over[drawn].sum(1), [2.5, 97.5])
    mean = apart.sum() / over.sum()
    return {"mean": round(float(mean), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def compared(results: dict[str, list[dict[str, NDArray[np.float64]]]], rows: dict[str, int]) -> list[dict[str, Any]]:
    """One line an arm."""
    lines = []
    means = {
        name: {key: np.mean([one[key] for one in seeds], axis=0) for key in seeds[0]} for name, seeds in results.items()
    }
    base = next(iter(means.values()))
    closed = ~np.isnan(base["right"])
    for name, mean in means.items():
        line: dict[str, Any] = {
            "arm": name,
            "train_rows": rows[name],
            "answer_loss": round(answer_loss(mean["nats"], mean["tokens"]), 4),
            "choice_accuracy": round(100 * float(mean["right"][closed].mean()), 1) if closed.any() else None,
        }
        if mean is not base:
            line["answer_loss_difference"] = difference(mean["nats"], base["nats"], base["tokens"])
            if closed.any():
                points = (100 * mean["right"][closed], 100 * base["right"][closed], np.ones(int(closed.sum())))
                line["choice_accuracy_difference"] = difference(*points)
        lines.append(line)
    return lines


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("stream")
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--test-rows", type=int, default=20, help="test rows a task")
    parser.add_argument("--arm", action="append", required=True, metavar="NAME=FOLDER[,FOLDER]")
    parser.add_argument("--untrained", action="store_true", help="score the model as it came, too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    stream = load_stream(
        given.stream, order=given.tasks or None, train_per_task=1, test_per_task=given.test_rows, leaks="drop"
    )
    tested = [one for task in stream for one in task.test]
    arms = {name: rows_of(folders.split(",")) for name, _, folders in (one.partition("=") for one in given.arm)}
    results = {name: [scored(taught(rows, seed, given), tested) for seed in given.seeds] for name, rows in arms.items()}
    if given.untrained:
        arms["untrained"], results["untrained"] = [], [scored(taught([], 0, given), tested)]
    lines = compared(results, {name: len(rows) for name, rows in arms.items()})
    record = {
        "date": date.today().isoformat(),
        "command": " ".join(["python", "benchmarks/refined_training.py", *arguments]),
        "test_questions": len(tested),
        "choices": int(sum(one.output.strip() in one.options for one in tested)),
        "rows": lines,
    }
    print(json.dumps(record, indent=1))
    if given.out:
        write_json(given.out, record)


if __name__ == "__main__":
    main(sys.argv[1:])
