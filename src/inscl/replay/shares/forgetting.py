r"""How much each earlier task was forgotten, from losses measured stage after stage, and shares by it.

A measurement is the rise :math:`D_{sj}` of the loss of task j at stage s, a mean over :math:`n_{sj}` rows. Few rows
make it noisy and many tasks have none at a stage, so a model of all stages and tasks fills in and steadies the last.
That forgetting is nearly additive or of rank one is reported by Jin & Ren (arXiv 2406.14026), who predict that of
single examples; the models here, of tasks and stages, are designed after the idea and not after their code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Memory

__all__ = [
    "MODELS",
    "Rises",
    "additive",
    "limited",
    "rank_one",
    "rises_ahead",
    "rises_of_probes",
    "rises_of_visits",
    "steadied",
]

Array = NDArray[np.float64]


class Rises(NamedTuple):
    """Rises of the loss by stage and task; the last row is the newest.

    Attributes:
        mean: Shape (stages, tasks), nats an answer token; NaN where nothing was measured.
        rows: The same shape: examples behind each mean, 0 where nothing was measured.
    """

    mean: Array
    rows: Array


def rises_of_visits(memory: Memory) -> Rises:
    """What replayed examples had lost when they came up again, at no cost.

    The rise of one example is its loss at its first visit at a stage, less that at its last visit at the last stage
    before that trained on it. An example that is trained on often has a low loss to rise from, whatever its task.
    """
    names = {task.name: j for j, task in enumerate(memory.tasks)}
    total, rows = (np.zeros((max(1, len(memory.past)), len(names))) for _ in range(2))
    before: dict[str, float] = {}
    for s, stage in enumerate(memory.past):
        for pick in stage.plan.picks:
            one = pick.example.id
            if pick.task in names and one in stage.losses and one in before:
                total[s, names[pick.task]] += stage.losses[one][0] - before[one]
                rows[s, names[pick.task]] += 1
        before.update({one: last for one, (_, last) in stage.losses.items()})
    return _means(total, rows)


def rises_ahead(memory: Memory, now: Mapping[str, tuple[float, int]]) -> Rises:
    """What was measured ahead of each stage.

    Args:
        memory: Its past plans hold what was measured ahead of them: ``rise`` and ``rows`` of a share's reason.
        now: Task -> the rise ahead of this stage, and of how many rows it is the mean; tasks that weren't measured are
            left out.
    """
    stages = [{share.task: share.reason for share in stage.plan.shares} for stage in memory.past]
    measured = [{n: (r["rise"], r["rows"]) for n, r in one.items() if r.get("rise") is not None} for one in stages]
    total, rows = (np.zeros((len(stages) + 1, len(memory))) for _ in range(2))
    for s, found in enumerate([*measured, now]):
        for j, task in enumerate(memory.tasks):
            if task.name in found:
                rise, rows[s, j] = found[task.name]
                total[s, j] = rise * rows[s, j]
    return _means(total, rows)


def rises_of_probes(memory: Memory, now: Mapping[str, tuple[float, int]]) -> Rises:
    """The losses of probes now and at earlier plans, less the first that was measured of each task.

    Args:
        memory: Its past plans hold what was measured then: ``probe_loss`` and ``probes`` of a share's reason.
        now: Task -> mean loss of its probes under the model as it is, and how many they are.
    """
    found: list[Mapping[str, tuple[float, int]]] = []
    for stage in memory.past:
        reasons = {share.task: share.reason for share in stage.plan.shares}
        found.append({name: (r["probe_loss"], r["probes"]) for name, r in reasons.items() if "probe_loss" in r})
    found.append(now)
    total, rows = (np.zeros((len(found), len(memory))) for _ in range(2))
    for j, task in enumerate(memory.tasks):
        measured = [s for s, losses in enumerate(found) if task.name in losses]
        for s in measured[1:]:
            loss, count = found[s][task.name]
            rows[s, j] = count
            total[s, j] = count * (loss - found[measured[0]][task.name][0])
    return _means(total, rows)


def _means(total: Array, rows: Array) -> Rises:
    return Rises(np.divide(total, rows, out=np.full(total.shape, np.nan), where=rows > 0), rows)


def additive(rises: Rises, shrink: float) -> Array:
    r"""The last row by :math:`D_{sj} \approx m + a_s + b_j`, shape (tasks,).

    Least squares weighted by rows, with a ridge of weight `shrink` on all :math:`a_s` and :math:`b_j`: a task of which
    nothing is known has :math:`b_j = 0`.
    """
    stages, tasks = rises.mean.shape
    s, j = np.nonzero(rises.rows)
    if not len(s):
        return np.zeros(tasks)
    weight = np.sqrt(rises.rows[s, j])
    design = np.zeros((len(s) + stages + tasks, 1 + stages + tasks))
    each = np.arange(len(s))
    design[each, 0] = design[each, 1 + s] = design[each, 1 + stages + j] = weight
    ridge = np.arange(stages + tasks)
    design[len(s) + ridge, 1 + ridge] = np.sqrt(shrink)
    wanted = np.zeros(len(design))
    wanted[: len(s)] = weight * rises.mean[s, j]
    solution = np.linalg.lstsq(design, wanted, rcond=None)[0]
    predicted: Array = solution[0] + solution[stages] + solution[1 + stages :]
    return predicted


def rank_one(rises: Rises, shrink: float) -> Array:
    r"""The last row by :math:`D_{sj} \approx u_s v_j`, shape (tasks,).

    Alternating least squares, weighted by rows, 100 rounds from :math:`u_s = 1`; a ridge of weight `shrink` draws each
    :math:`v_j` towards their mean and each :math:`u_s` towards 1, so that a task or a stage of which nothing is known
    is taken for a middling one.
    """
    tasks = rises.mean.shape[1]
    n, d = rises.rows, np.nan_to_num(rises.mean)
    known = n.sum(axis=0) > 0
    if not known.any():
        return np.zeros(tasks)
    u, v = np.ones(len(n)), np.full(tasks, (n * d).sum() / n.sum())
    for _ in range(100):
        middle = v[known].mean()
        v = ((n * d * u[:, None]).sum(axis=0) + shrink * middle) / ((n * u[:, None] ** 2).sum(axis=0) + shrink)
        # In the units of v, so that the ridge weighs the same whatever losses are measured in.
        size = max(float((v[known] ** 2).mean()), 1e-12)
        u = ((n * d * v).sum(axis=1) + shrink * size) / ((n * v**2).sum(axis=1) + shrink * size)
    predicted: Array = u[-1] * v
    return predicted


MODELS = {"additive": additive, "rank_one": rank_one}
"""What predicts a rise from those of other stages and tasks, by name."""


def steadied(rises: Rises, model: str, shrink: float) -> Array:
    r"""The last row between what was measured and what the model predicts, shape (tasks,).

    .. math:: \hat D_j = \frac{n_j D_j + \lambda m_j}{n_j + \lambda}

    with :math:`\lambda` the argument `shrink` and :math:`m_j` the prediction: with no row it is the prediction, with
    many it is the measurement.
    """
    predicted = MODELS[model](rises, shrink)
    n, d = rises.rows[-1], np.nan_to_num(rises.mean[-1])
    found: Array = (n * d + shrink * predicted) / (n + shrink)
    return found


def limited(shares: Sequence[float] | Array, most: float) -> Array:
    """Shares that sum to 1, none of them above `most` times the equal one; the others take over what is cut off.

    Args:
        shares: Not negative, shape (n,), n at least 1; they sum to 1.
        most: At least 1.
    """
    p = np.array(shares, dtype=np.float64)
    limit = most / len(p)
    while (over := p > limit * (1 + 1e-12)).any():
        p[over] = limit
        room = p < limit * (1 - 1e-12)
        left = 1 - p.sum()
        if not room.any():
            break
        grown = p[room].sum()
        p[room] += left * p[room] / grown if grown > 0 else left / room.sum()
    return p
