"""The answer in one sentence: how much was kept, by the first measure that every run has."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract.scale import PERCENT, Scale
from inscl.metrics import gain_of
from inscl.reports.text import scorer_name, value
from inscl.storage.run.finished_run import Run, scale_in

__all__ = ["answer", "caution", "precision", "primary"]


def primary(runs: Sequence[Run]) -> str | None:
    """The scorer that the page leads with: the first run's first; None where nothing was scored."""
    return next((run.scorers[0] for run in runs if run.scorers), None)


def answer(runs: Sequence[Run]) -> str:
    """What came of the runs, in plain words, computed from their metrics.

    Relative Gain where experts were evaluated; else average performance, with forgetting; else how far the runs are.
    """
    scorer = primary(runs)
    if scorer is None:
        return _progress(runs)
    if all(run.learned == len(run.tasks) for run in runs):
        scale = scale_in(runs, scorer)
        kept = [run.metric(scorer, gain_of(scale), "final") for run in runs]
        if None not in kept:
            said = _compared(runs, "kept", kept, PERCENT, _of_experts(scale))
            return f"{_after(runs)}, {said}."
        average = [run.metric(scorer, "average_performance") for run in runs]
        if None not in average:
            said = _compared(runs, "scores", average, scale, f" on average over all of them ({_named(scorer, scale)})")
            return f"{_after(runs)}, {said}.{_forgotten(runs, scorer, scale)}"
    return f"{_progress(runs)}{_so_far(runs, scorer)}"


def _of_experts(scale: Scale) -> str:
    """What a gain is a share of."""
    if scale.is_loss:
        return " of the experts' likelihood per answer token on earlier tasks"
    return " of what experts reach on earlier tasks"


def _named(scorer: str, scale: Scale) -> str:
    return scorer_name(scorer) + (", lower is better" if scale.better == "lower" else "")


def caution(runs: Sequence[Run]) -> list[str]:
    """Why the runs may not be compared as they stand: another stream, model or primary scorer."""
    first, found = runs[0], []
    for run in runs[1:]:
        if _learned_data(run) != _learned_data(first):
            found.append(f"{run.label} learned other data than {first.label}, or in another order.")
        if _model(run) != _model(first):
            found.append(f"{run.label} started from another model than {first.label}.")
        if run.scorers and first.scorers and run.scorers[0] != first.scorers[0]:
            names = scorer_name(run.scorers[0]), scorer_name(first.scorers[0])
            found.append(f"{run.label} is scored first by {names[0]}, {first.label} by {names[1]}.")
    return found


def _learned_data(run: Run) -> list[str]:
    """What identifies the tasks in the order learned; tasks that are held out are scored and change nothing here."""
    return [task.fingerprint for task in run.manifest.stream.tasks]


def precision(runs: Sequence[Run], scorer: str | None) -> str:
    """How far the numbers can be trusted: seeds and test examples behind them."""
    seeds = {run.manifest.seed for run in runs if run.manifest.seed is not None}
    found = [scores.get(scorer or "") for run in runs for scores in run.cells.values()]
    known = [score.n for score in found if score is not None and score.n is not None]
    said = "One seed" if len(seeds) == 1 else f"Seeds {', '.join(str(seed) for seed in sorted(seeds))}" if seeds else ""
    if known:
        count = f"{min(known)}" if min(known) == max(known) else f"{min(known)} to {max(known)}"
        said = f"{said}; e" if said else "E"
        said += f"ach score is of {count} test examples, ± one standard error"
    return f"{said}." if said else ""


def _model(run: Run) -> str | None:
    model = run.manifest.model
    return None if model is None else model.fingerprint or model.name


def _after(runs: Sequence[Run]) -> str:
    counts = sorted({len(run.tasks) for run in runs})
    if len(counts) == 1:
        return "After 1 task" if counts == [1] else f"After {counts[0]} tasks"
    return "After their last task (the streams differ in length)"


def _forgotten(runs: Sequence[Run], scorer: str, scale: Scale) -> str:
    lost = [run.metric(scorer, "forgetting") for run in runs]
    if None in lost:
        return ""
    parts = _numbered(lost, "", scale.digits)
    said = [f"{run.label} {part}" for run, part in zip(runs, parts, strict=True)]
    return f" Of the best score that each earlier task had, {scale.points} lost on average: {', '.join(said)}."


def _progress(runs: Sequence[Run]) -> str:
    states: dict[str, list[str]] = {}
    for run in runs:
        tasks = "the one task" if len(run.tasks) == 1 else f"all {len(run.tasks)} tasks"
        state = tasks if run.learned == len(run.tasks) else f"{run.learned} of {len(run.tasks)} tasks so far"
        states.setdefault(state, []).append(run.label)
    parts = [
        f"{_listed(names)} {'has' if len(names) == 1 else 'have'} learned {state}" for state, names in states.items()
    ]
    return f"{'; '.join(parts)}."


def _so_far(runs: Sequence[Run], scorer: str) -> str:
    """The averages at the last stage that every run has finished."""
    stage = min(run.learned for run in runs)
    scale = scale_in(runs, scorer)
    means = [mean for run in runs if (mean := run.average(stage, scorer)) is not None]
    if not stage or len(means) < len(runs):
        return ""
    over = "the first task" if stage == 1 else f"the first {stage} tasks on average"
    return f" After stage {stage}, {_compared(runs, 'scores', means, scale, f' on {over} ({_named(scorer, scale)})')}."


def _compared(runs: Sequence[Run], verb: str, numbers: Sequence[float], scale: Scale, rest: str) -> str:
    unit, digits = ("\u00a0%", 0) if scale.unit == "percent" else (f"\u00a0{scale.points}", scale.digits)
    found = _numbered(numbers, unit, digits)
    parts = [f"{run.label} {verb} {part}" for run, part in zip(runs, found, strict=True)]
    return "; ".join([parts[0] + rest, *parts[1:]])


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _numbered(numbers: Sequence[float], unit: str, digits: int = 0) -> list[str]:
    """Rounded numbers; with a decimal more where rounding would hide that two differ."""
    texts = [value(number, digits) for number in numbers]
    if digits < 1 and len(set(texts)) < len({value(number, 1) for number in numbers}):
        texts = [value(number, 1) for number in numbers]
    return [f"{text}{unit}" for text in texts]
