"""Reads a run folder for a report: strict about existing files, tolerant of those that don't exist yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from inscl.contract.scale import Scale
from inscl.data.quoting import plain
from inscl.data.yaml_values import parse_yaml
from inscl.errors import UserError, WorkspaceError
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.objects.places import local_folder
from inscl.storage.run.formats import Heard, Learned, Manifest, Metrics, Plan, Prediction, Record, Score, Scores
from inscl.storage.run.stage_record import refuse_damage

__all__ = ["LISTENING", "Run", "Stage", "load_run", "load_runs", "scale_in"]

LISTENING = "listening.jsonl"
"""Where a stage keeps what ``inscl listening`` asked its model."""

_MOST_PLANS = 60

T = TypeVar("T", Record, Heard, Metrics, Learned, Manifest, Plan, Prediction, Scores)


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        number: 1 for the first task.
        task: The task that is learned.
        folder: Where its files are, or would be.
        done: Whether it finished.
        plan: What was rehearsed; None before planning, and at some stages of a run of very many.
        learned: What learning took; None before it ended.
        seconds: Wall time by phase ("plan", "train", "evaluate").
    """

    number: int
    task: str
    folder: Path
    done: bool = False
    plan: Plan | None = None
    learned: Learned | None = None
    seconds: Mapping[str, float] | None = None

    def predictions(self, task: str) -> dict[tuple[str, int], Prediction] | None:
        """Answers on `task` after this stage, by (example id, occurrence); None where none were kept."""
        path = self.folder / "predictions" / f"{task}.jsonl"
        if not path.exists():
            return None
        seen: Counter[str] = Counter()
        answers = {}
        for line, row in enumerate(read_jsonl(path), 1):
            answer = _checked(Prediction, row, f"{path}, line {line}")
            answers[answer.id, seen[answer.id]] = answer
            seen[answer.id] += 1
        return answers

    def heard(self) -> list[Heard]:
        """What ``inscl listening`` asked its model; empty where it didn't."""
        path = self.folder / LISTENING
        rows = read_jsonl(path) if path.exists() else []
        return [_checked(Heard, row, f"{path}, line {line}") for line, row in enumerate(rows, 1)]


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        folder: The folder.
        label: How the run is called on the page, unique among the runs compared.
        manifest: Where it comes from.
        config: The resolved configuration, parsed; empty where ``inscl.yaml`` is absent.
        config_text: The same as written.
        tasks: Names of the tasks that are learned, in the order of the stream.
        held_out: Names of the tasks that are scored and never learned.
        scales: Metric -> its unit and which direction is good, the leading one first.
        cells: (stage, task) -> metric -> score, in the metric's unit. What was not evaluated is absent.
        experts: task -> metric -> score of the model trained on that task alone.
        metrics: Metrics of the score matrix; None before they were computed.
        stages: Stages 1..T, whether begun or not.
    """

    folder: Path
    label: str
    manifest: Manifest
    config: Mapping[str, Any]
    config_text: str
    tasks: Sequence[str]
    held_out: Sequence[str]
    scales: Mapping[str, Scale]
    cells: Mapping[tuple[int, str], Mapping[str, Score]]
    experts: Mapping[str, Mapping[str, Score]]
    metrics: Metrics | None
    stages: Sequence[Stage]

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names of the metrics, the leading one first."""
        return tuple(self.scales)

    @property
    def learned(self) -> int:
        """How many stages are finished, counted from the first without a gap."""
        return next((stage.number - 1 for stage in self.stages if not stage.done), len(self.stages))

    def score(self, stage: int, task: str, scorer: str) -> Score | None:
        """R[stage][task], or None where it was not evaluated."""
        return self.cells.get((stage, task), {}).get(scorer)

    def average(self, stage: int, scorer: str) -> float | None:
        """Mean score of tasks 1..stage after that stage; None where one of them was not evaluated."""
        scores = [self.score(stage, task, scorer) for task in self.tasks[:stage]]
        means = [score.mean for score in scores if score is not None]
        return sum(means) / stage if means and len(means) == stage else None

    def metric(self, scorer: str, name: str, part: str | None = None) -> Any:
        """A metric of the matrix, or one part of it ("final", "by_stage"); None where it is undefined."""
        value = self.metrics.of(scorer).get(name) if self.metrics else None
        return value.get(part) if part is not None and isinstance(value, dict) else value if part is None else None


def load_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders and tell them apart: runs of one label get their folder's name added.

    Raises:
        WorkspaceError: A folder isn't a run, or a file in it is damaged; the message names it.
    """
    runs = [load_run(folder) for folder in folders]
    for name in (lambda run: run.folder.name, lambda run: str(run.folder)):
        labels = Counter(run.label for run in runs)
        runs = [replace(run, label=f"{run.label} ({name(run)})") if labels[run.label] > 1 else run for run in runs]
    return runs


def scale_in(runs: Sequence[Run], metric: str) -> Scale:
    """Unit and good direction of a metric that one of `runs` has."""
    return next(run.scales[metric] for run in runs if metric in run.scales)


def load_run(folder: Path) -> Run:
    """Read one run folder, or the run at an address.

    Files that a run writes later may be absent; a damaged one is refused.

    Raises:
        WorkspaceError: The folder isn't a run, or a file in it is damaged; the message names it.
    """
    folder = local_folder(folder).resolve()
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{folder} is not a run folder: it has no manifest.json; give the folder that `inscl run` made")
    refuse_damage(folder)
    manifest = _required(Manifest, folder / "manifest.json")
    tasks, held_out = (
        [_file_name(task.name, folder) for task in named] for named in (manifest.stream.tasks, manifest.stream.held_out)
    )
    planned = set(_spread(len(tasks)))
    stages = [_stage(folder, number, task, number in planned) for number, task in enumerate(tasks, 1)]
    # Before the first row there is none.
    scores = _optional(Scores, folder / "scores.json") or Scores(schema=1, metrics={}, tasks=tasks, cells=[])
    if scores.tasks != tasks:
        raise WorkspaceError(f"{folder / 'scores.json'} names other tasks than {folder / 'manifest.json'}")
    config, text = _config(folder / "inscl.yaml")
    return Run(
        folder=folder,
        label=plain(manifest.label or f"{manifest.strategy} ({folder.name})", 60),
        manifest=manifest,
        config=config,
        config_text=text,
        tasks=tasks,
        held_out=held_out,
        scales={name: Scale(scale.unit, scale.better) for name, scale in scores.metrics.items()},
        cells={(cell.stage, cell.task): cell.scores for cell in scores.cells},
        experts=scores.experts,
        metrics=_optional(Metrics, folder / "metrics.json"),
        stages=stages,
    )


def _spread(count: int) -> list[int]:
    """The stages whose plans are read, evenly spread where there are very many."""
    if count <= _MOST_PLANS:
        return list(range(1, count + 1))
    return [1 + round(place * (count - 1) / (_MOST_PLANS - 1)) for place in range(_MOST_PLANS)]


def _file_name(task: str, run: Path) -> str:
    """`task`, which names files: a run folder that somebody sent may try to have others read."""
    if task in ("", ".", "..") or any(mark in task for mark in "/\\\0"):
        raise WorkspaceError(f"{run / 'manifest.json'} is damaged: {plain(task)!r} is not a valid task name")
    return task


def _stage(run: Path, number: int, task: str, planned: bool) -> Stage:
    # The task's name may have been shortened for the file system; the number says which stage it is.
    named = run / "stages" / f"{number:02d}-{task}"
    folder = next(iter(sorted(named.parent.glob(f"{number:02d}-*"))), named)
    seconds = folder / "seconds.json"
    return Stage(
        number=number,
        task=task,
        folder=folder,
        done=(folder / "DONE").exists(),
        plan=_optional(Plan, folder / "plan.json") if planned else None,
        learned=_optional(Learned, folder / "learn.json"),
        seconds=_durations(seconds) if seconds.exists() else None,
    )


def _config(path: Path) -> tuple[Mapping[str, Any], str]:
    if not path.exists():
        return {}, ""
    try:
        text = path.read_text(encoding="utf-8")
        config = parse_yaml(text)
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{path} can't be read: {error}") from error
    if not isinstance(config, dict):
        raise WorkspaceError(f"{path} is damaged: it should hold the run's configuration")
    return config, text


def _durations(path: Path) -> dict[str, float]:
    try:
        return TypeAdapter(dict[str, float]).validate_python(read_json(path))
    except ValidationError as error:
        raise WorkspaceError(f"{path} is damaged: it should hold seconds by phase") from error


def _optional(kind: type[T], path: Path) -> T | None:
    return _required(kind, path) if path.exists() else None


def _required(kind: type[T], path: Path) -> T:
    return _checked(kind, read_json(path), str(path))


def _checked(kind: type[T], value: Any, where: str) -> T:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise WorkspaceError(f"{where} is damaged: {place}: {first['msg']}") from error
