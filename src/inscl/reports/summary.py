"""What was run and what came of it, a column a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract.scale import PERCENT, Scale
from inscl.metrics import gain_of, scale_of
from inscl.reports.costs import Cost
from inscl.reports.text import duration, setting, value
from inscl.storage.run.finished_run import Run, scale_in

__all__ = ["METRICS", "Comparison", "glance", "metric_rows", "summary_rows"]

METRICS = {
    "relative_gain": ("Relative Gain", "earlier tasks against their experts at the end; 100 = nothing forgotten"),
    "perplexity_gain": ("perplexity gain", "experts' perplexity over the model's at the end; 100 = nothing forgotten"),
    "pooled_perplexity_gain": ("pooled perplexity gain", "the same of the mean losses"),
    "average_performance": ("average performance", "all tasks at the end"),
    "average_incremental": ("average incremental", "mean over stages of the tasks learned so far"),
    "forgetting": ("forgetting", "how much worse the last score is than the best earlier one"),
    "forgetting_rate": ("forgetting rate", "lost since learning, in percent of it"),
    "backward_transfer": ("backward transfer", "how much better the last score is than the one right after learning"),
    "forward_transfer": ("forward transfer", "how much better the score before learning is than the base model's"),
    "forward_transfer_citb": ("forward transfer (CITB)", "score before learning"),
    "intransigence": ("intransigence", "how much worse the score right after learning is than the expert's"),
    "general_delta": (
        "general delta",
        "how much better tasks that are held out are at the end than at the start",
    ),
    "p_score": ("P-score", "tasks that are held out against their experts at the end; 100 = as if they were learned"),
}


# Every run has its own; that they differ says nothing.
_OWN = ("folder", "started")


@dataclass(frozen=True)
class Comparison:
    """One line of a table with a column a run; `differs` where the runs don't agree."""

    head: str
    hint: str
    values: Sequence[str]
    differs: bool = False


def glance(runs: Sequence[Run], scorer: str | None, bills: Sequence[Sequence[Cost]]) -> list[Comparison]:
    """The few numbers to see first; what no run has is left out."""
    rows = []
    scale = scale_in(runs, scorer) if scorer else PERCENT
    for name in (gain_of(scale), "average_performance", "forgetting"):
        numbers = [_number(run.metric(scorer or "", name)) for run in runs]
        digits = scale_of(name, scale).digits
        rows.append(Comparison(*_said(name, scale), [value(number, digits) for number in numbers]))
    sums = [bill[-1] if bill else None for bill in bills]
    shares = [f"{value(line.share)}\u00a0%" if line and line.share is not None else "–" for line in sums]
    rows.append(Comparison("replay", "share of the tokens trained on", shares))
    rows.append(Comparison("training", "wall time", [duration(line.train if line else None) for line in sums]))
    return [row for row in rows if any(text != "–" for text in row.values)]


def metric_rows(runs: Sequence[Run], scorer: str) -> list[Comparison]:
    """Every metric that a run has, by its full name, a column a run; an undefined one says why."""
    rows = []
    for key in METRICS:
        if any(run.metrics and key in run.metrics.of(scorer) for run in runs):
            said = _said(key, scale_in(runs, scorer))
            rows.append(Comparison(*said, [_metric(run, scorer, key) for run in runs]))
    return rows


def _said(key: str, scale: Scale) -> tuple[str, str]:
    """A metric's title and what it is, with the direction where lower is better."""
    title, hint = METRICS[key]
    return title, f"{hint}; lower is better" if scale_of(key, scale).better == "lower" else hint


def _metric(run: Run, scorer: str, key: str) -> str:
    if run.metrics is None:
        return "not computed yet"
    number = _number(run.metric(scorer, key))
    if number is not None:
        return value(number, scale_of(key, run.scales.get(scorer, PERCENT)).digits)
    reason = run.metrics.undefined.get(f"{scorer}.{key}")
    return f"undefined: {reason}" if reason else "undefined"


def _number(metric: Any) -> float | None:
    """The one number of a metric that also has parts."""
    if isinstance(metric, dict):
        metric = metric.get("final", metric.get("mean"))
    return metric if isinstance(metric, int | float) else None


def summary_rows(runs: Sequence[Run]) -> list[Comparison]:
    """What was run, a column a run."""
    columns = [_summary(run) for run in runs]
    heads = list(dict.fromkeys(head for column in columns for head in column))
    rows = []
    for head in heads:
        cells = [column.get(head, "–") for column in columns]
        rows.append(Comparison(head, "", cells, head not in _OWN and len(set(cells)) > 1))
    return rows


def _summary(run: Run) -> dict[str, str]:
    manifest, config = run.manifest, run.config
    replay, training = _part(config, "replay"), _part(config, "training")
    training = {key: item for key, item in training.items() if item not in ({}, None)}
    stream = manifest.stream
    held_out = f", {len(stream.held_out)} more held out" if stream.held_out else ""
    train, test = sum(task.train for task in stream.tasks), sum(task.test for task in stream.tasks)
    found: dict[str, Any] = {
        "strategy": manifest.strategy,
        "strategy settings": setting(replay["params"]) if replay.get("params") else None,
        "budget": _budget(run),
        "model": manifest.model and manifest.model.name,
        "adapter": setting(_part(config, "model").get("adapter")) if "adapter" in _part(config, "model") else None,
        "seed": manifest.seed,
        "data": f"{stream.name}: {len(stream.tasks)} tasks, {train:,} train and {test:,} test examples{held_out}",
        "training": setting({key: item for key, item in training.items() if item not in ({}, None)})
        if training
        else None,
        "settings of single stages": _of_stages(run),
        "embedder, tagger": ", ".join(setting(replay[key]) for key in ("embedder", "tagger") if replay.get(key))
        or None,
        "hardware": setting(manifest.hardware) if manifest.hardware else None,
        "software": _software(run),
        "started": manifest.created,
        "data fingerprint": stream.fingerprint,
        "model fingerprint": manifest.model and manifest.model.fingerprint,
        "folder": run.folder.name,
    }
    return {head: str(item) for head, item in found.items() if item not in (None, "")}


def _of_stages(run: Run) -> str:
    """What stages of a workspace were learned with, where that differs from its settings."""
    stages = enumerate(run.manifest.stream.tasks, start=1)
    return "; ".join(f"{number} {task.name}: {', '.join(task.settings)}" for number, task in stages if task.settings)


def _software(run: Run) -> str:
    named = {"inscl": run.manifest.inscl, "Python": run.manifest.python, **run.manifest.packages}
    return ", ".join(f"{name} {version}" for name, version in named.items() if version) + (
        f"; {run.manifest.platform}" if run.manifest.platform else ""
    )


def _budget(run: Run) -> str | None:
    given = _part(run.config, "replay").get("budget") or next((s.plan.budget for s in run.stages if s.plan), None)
    words = {"per_task": "{} examples per earlier task", "total": "{} examples in all", "tokens": "{} tokens"}
    if not isinstance(given, dict) or not given:
        return None
    said = [
        words.get(kind, f"{kind} {{}}").format(f"{number:g}") for kind, number in given.items() if number is not None
    ]
    return ", ".join(said) or None


def _part(config: Mapping[str, Any], heading: str) -> Mapping[str, Any]:
    part = config.get(heading)
    return part if isinstance(part, dict) else {}
