r"""Differences by question: how two methods differ on the same questions, and how sure that is.

A cell's record holds the score of each test question after the last stage. For two methods with the same order and
seed, a question of task j contributes

.. math:: d_q = 100\,\Big(\frac{a_q}{U_j} - \frac{b_q}{V_j}\Big) \quad\text{(percentages)}, \qquad d_q = b_q - a_q
    \quad\text{(losses, nats)}

with :math:`a_q, b_q` the two scores, and :math:`U_j, V_j` those of the task's expert under the two methods; methods
that train alike share it. The mean over questions, then tasks but the last (whose score says nothing about forgetting),
then seeds is the difference of Relative Gain, or the gain in likelihood.

Questions of one instruction succeed and fail together, and so do those of one seed. The bootstrap therefore draws in
three steps: seeds, within each seed and task instructions, within each of these questions (a nested bootstrap; errors
clustered as in arXiv 2411.00640). Tasks are fixed: another stream is another experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.bench.numbers.intervals import LEVEL, SEED, Interval

__all__ = ["QuestionDifference", "differences_of", "nested_bootstrap"]

Clusters = Sequence[Sequence[Sequence[Sequence[float]]]]
"""Seeds of tasks of instructions of questions: a difference each."""


@dataclass(frozen=True)
class QuestionDifference:
    """A difference from questions.

    Attributes:
        mean: Points, or nats for losses.
        interval: 95 % of the nested bootstrap.
        seeds: Pairs of cells.
        questions: In all of them.
    """

    mean: float
    interval: Interval
    seeds: int
    questions: int


def differences_of(mine: Mapping[str, Any], theirs: Mapping[str, Any], metric: str) -> list[list[list[float]]]:
    """Tasks of instructions of questions for one pair of records; empty where a record holds no questions.

    Only questions that both were asked count. A task of which an expert scored 0 is left out of percentages.
    """
    first, second = (_by_task(record, metric) for record in (mine, theirs))
    upper, other_upper = ((record.get("experts") or {}).get(metric) or () for record in (mine, theirs))
    percent = mine["metrics"][metric]["better"] == "higher"
    if percent and not (upper and other_upper):
        return []
    found = []
    for column, task in enumerate(mine["tasks"][:-1]):
        if percent and not (upper[column] and other_upper[column]):
            continue
        groups: dict[int, list[float]] = {}
        other = second.get(task, {})
        for question, (instruction, score) in first.get(task, {}).items():
            if question in other:
                theirs_too = other[question][1]
                # Scores of questions are shares, those of experts percentages.
                gap = (
                    1e4 * (score / upper[column] - theirs_too / other_upper[column]) if percent else theirs_too - score
                )
                groups.setdefault(instruction, []).append(gap)
        if groups:
            found.append(list(groups.values()))
    return found


def _by_task(record: Mapping[str, Any], metric: str) -> dict[str, dict[str, tuple[int, float]]]:
    """Task -> id of a question -> the number of its instruction, and its score."""
    return {
        task: {
            one: (instruction, score)
            for one, instruction, score in zip(
                asked["ids"], asked["instructions"], asked["scores"][metric], strict=True
            )
            if score is not None
        }
        for task, asked in (record.get("questions") or {}).items()
        if metric in asked["scores"]
    }


def nested_bootstrap(seeds: Clusters, resamples: int = 2000, seed: int = SEED) -> QuestionDifference | None:
    """The mean difference with the interval of the nested bootstrap; None without a pair.

    Args:
        seeds: For each pair of cells its tasks, of these the instructions, of these the questions.
        resamples: How often to draw.
        seed: Of the drawing.
    """
    known = [tasks for tasks in seeds if tasks]
    if not known:
        return None
    rng = np.random.default_rng(seed)
    # What a seed's mean comes out as, drawn once for each time that the seed is drawn.
    draws = np.stack([_within(tasks, resamples, rng) for tasks in known])
    chosen = rng.integers(0, len(known), (len(known), resamples))
    means = draws[chosen, rng.permuted(np.tile(np.arange(resamples), (len(known), 1)), axis=1)].mean(axis=0)
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(means, [tail, 100 - tail])
    mean = float(np.mean([np.mean([_mean(task) for task in tasks]) for tasks in known]))
    count = sum(len(group) for tasks in known for task in tasks for group in task)
    return QuestionDifference(mean, Interval(float(low), float(high)), len(known), count)


def _within(
    tasks: Sequence[Sequence[Sequence[float]]], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of one seed over its tasks, instructions and questions drawn anew; shape (resamples,)."""
    total = np.zeros(resamples)
    for groups in tasks:
        sums, counts = np.zeros(resamples), np.zeros(resamples)
        picked = rng.integers(0, len(groups), (resamples, len(groups)))
        for number, group in enumerate(groups):
            values = np.asarray(group, dtype=np.float64)
            times = (picked == number).sum(axis=1)
            for turn in range(int(times.max(initial=0))):
                here = times > turn
                drawn = values[rng.integers(0, len(values), (int(here.sum()), len(values)))]
                sums[here] += drawn.sum(axis=1)
                counts[here] += len(values)
        total += sums / counts
    return total / len(tasks)


def _mean(groups: Sequence[Sequence[float]]) -> float:
    values = [value for group in groups for value in group]
    return float(np.mean(values))
