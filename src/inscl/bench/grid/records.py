"""What a grid keeps of a finished run: one small JSON file, which can be committed, merged and recomputed from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from inscl.bench.grid.grid import Cell
from inscl.bench.numbers.observations import observe
from inscl.config.identity import key_of, plugins_of, recorded_settings
from inscl.engine.stage import DIVERGED, predictions_file
from inscl.errors import DataError, UserError, WorkspaceError
from inscl.forgetting.of_run import forgotten_of_run
from inscl.storage.files.atomic import read_json, write_json
from inscl.storage.run.run_folder import RunFolder
from inscl.storage.run.scores import ScoreMatrix

__all__ = ["is_complete", "read_records", "record_of", "write_record"]

_COSTS = ("steps", "tokens", "replay_tokens", "answer_tokens", "examples", "replayed")


def is_complete(cell: Cell) -> bool:
    """Whether a cell's run is recorded to its end, with the experts and the base model's row that it asks for.

    A run that diverged ends before that stage.
    """
    path, asked = Path(cell.config.output_dir), cell.config.evaluation
    if not (path / "manifest.json").exists():
        return False
    manifest = read_json(path / "manifest.json")
    folder = RunFolder.of_manifest(path, manifest, asked.metrics)
    numbers = range(1, len(folder.tasks) + 1)
    learned = range(1, _stages(folder) + 1)
    held_out = enumerate(manifest["stream"].get("held_out", []), start=len(folder.tasks) + 1)
    apart = [number for number, task in held_out if task["train"]]  # those that have experts of their own
    wanted = [folder.stage(number) for number in learned]
    wanted += [folder.stage(0)] if asked.base or folder.held_out else []
    wanted += [folder.expert(number) for number in (*numbers, *apart)] if asked.experts else []
    return all(record.done for record in wanted)


def record_of(cell: Cell) -> dict[str, Any]:
    """The record of a cell whose run is finished: scores of every stage, experts, cost, and what it ran on.

    A run that diverged counts from that stage on as the base model, where that was scored: its weights are of no use.

    Raises:
        WorkspaceError: The run isn't finished, one of its files is damaged, or it saw other data, another model or
            another plugin than the grid.
    """
    path = Path(cell.config.output_dir)
    manifest = read_json(path / "manifest.json")
    folder = RunFolder.of_manifest(path, manifest, cell.config.evaluation.metrics)
    tasks, stages = list(folder.tasks), _stages(folder)
    if folder.finished() < stages:
        raise WorkspaceError(f"{path} is not finished: it has {folder.finished()} of {len(tasks)} stages")
    _refuse_another_key(cell, manifest, path)
    matrix = folder.scores()
    return {
        "schema": 1,
        "key": cell.key,
        "cell": cell.to_json(),
        "config": recorded_settings(cell.config),
        "tasks": tasks,
        "test_examples": {task["name"]: task["test"] for task in manifest["stream"]["tasks"]},
        "plugins": plugins_of(cell.config),
        "stream_fingerprint": manifest["stream"]["fingerprint"],
        "model_fingerprint": manifest["model"]["fingerprint"],
        "metrics": {metric: scale.to_json() for metric, scale in matrix.scales.items()},
        "scores": {metric: _rows(_filled(matrix.array(metric), stages)) for metric in matrix.metrics},
        **_held_out(matrix, stages),
        "answers": _answers(folder, [*tasks, *folder.held_out]),
        "questions": _questions(folder, tasks),
        "experts": {metric: _rows(matrix.expert_array(metric)) for metric in matrix.metrics},
        "cost": _cost(folder, stages),
        "allocation": _allocation(folder, stages),
        "spikes": _spikes(folder, tasks),
        **({"diverged": tasks[stages]} if stages < len(tasks) else {}),
        "forgotten": _forgotten(path) if stages == len(tasks) and _compares(folder, stages) else {},
        "packages": manifest["packages"],
        "hardware": manifest["hardware"],
        "created": manifest["created"],
    }


def _refuse_another_key(cell: Cell, manifest: dict[str, Any], path: Path) -> None:
    """See that the machine that made the run had what the grid was read with: the record stands under the grid's key.

    Raises:
        WorkspaceError: It hadn't.
    """
    stream, model = (manifest[part]["fingerprint"] for part in ("stream", "model"))
    if key_of(recorded_settings(cell.config), stream, model, manifest["plugins"]) != cell.key:
        raise WorkspaceError(
            f"{path} was made from other data, another model or another plugin than this machine has now: see that all "
            "machines have the same, then delete that folder to have the cell run again"
        )


def write_record(folder: Path, record: dict[str, Any]) -> Path:
    """Write a record under its key; returns the file."""
    path = folder / f"{record['key']}.json"
    write_json(path, record)
    return path


def read_records(folder: Path, keys: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """The records in a folder, sorted by method, order, budget and seed; with `keys`, those of them that are there.

    Raises:
        WorkspaceError: A file is damaged, or says another key than its name.
        DataError: A record lacks something that tables or estimates need, or it is of the wrong kind.
    """
    wanted = None if keys is None else set(keys)
    found = []
    for path in sorted(folder.glob("*.json")):
        if wanted is not None and path.stem not in wanted:
            continue
        record = read_json(path)
        if not isinstance(record, dict) or record.get("key") != path.stem or record.get("schema") != 1:
            raise WorkspaceError(f"{path} is no record of a cell: delete it to have that cell run again")
        _check(record, path)
        found.append(record)
    return sorted(found, key=lambda record: [str(value) for value in record["cell"].values()])


def _check(record: dict[str, Any], path: Path) -> None:
    """All that tables and estimates take from a record, tried now: later it would stop cells that run."""
    again = "; delete the file to have that cell run again"
    for name, kind in (("scores", dict), ("metrics", dict), ("cost", dict), ("hardware", dict), ("answers", list)):
        if not isinstance(record.get(name), kind):
            state = "is damaged" if name in record else "is missing"
            raise DataError(f"cell {record['key']}: the field {name!r} {state}{again}", path)
    try:
        for metric in record["scores"]:
            observe([record], metric)
        if not record["scores"]:
            raise ValueError("it has no scores")
        sum(map(sum, record["answers"]))
        for asked in (record.get("questions") or {}).values():
            if len({len(asked["ids"]), len(asked["instructions"]), *map(len, asked["scores"].values())}) > 1:
                raise ValueError("its questions, their instructions and scores differ in number")
        for name in ("tokens", "train_seconds", "evaluate_seconds"):
            float(record["cost"][name])
    except UserError as error:  # it names the cell and says what to do
        raise DataError(str(error), path) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"cell {record['key']}: {error}{again}", path) from error


def _stages(folder: RunFolder) -> int:
    """How many stages the run has: all, or those before the one that diverged."""
    finished = folder.finished()
    over = finished < len(folder.tasks) and (folder.stage(finished + 1).path / DIVERGED).exists()
    return finished if over else len(folder.tasks)


def _filled(array: Any, stages: int) -> Any:
    """Scores whose rows behind `stages` are those of the base model, on what would have been scored."""
    filled = array.copy()
    for row in range(stages + 1, len(array)):
        filled[row] = np.where(np.arange(array.shape[1]) < row, array[0], np.nan)
    return filled


def _held_out(matrix: ScoreMatrix, stages: int) -> dict[str, Any]:
    """Scores and experts of the tasks that are held out, where there are any: a row a stage, a column a task."""
    if not matrix.held_out:
        return {}
    scores = {}
    for metric in matrix.metrics:
        rows = matrix.held_out_array(metric).copy()
        rows[stages + 1 :] = rows[0]
        scores[metric] = _rows(rows)
    experts = {metric: _rows(matrix.held_out_expert_array(metric)) for metric in matrix.metrics}
    return {"held_out": {"tasks": list(matrix.held_out), "scores": scores, "experts": experts}}


def _compares(folder: RunFolder, stages: int) -> bool:
    """Whether answers right after learning and at the end can be compared: joint training has only the end's."""
    return stages > 1 and bool(folder.stage(1).scores())


def _forgotten(path: Path) -> dict[str, dict[str, Any]]:
    """What was forgotten by task; nothing where answers can't be told apart by task, since all tasks are the same."""
    try:
        return forgotten_of_run(path).shares
    except UserError:
        return {}


def _rows(array: Any) -> Any:
    """Nested lists with None for NaN."""
    found: Any = np.where(np.isnan(array), None, array)
    return found.tolist()


def _cost(folder: RunFolder, stages: int) -> dict[str, float | None]:
    cost: dict[str, float] = dict.fromkeys(_COSTS, 0)
    seconds = Counter({"plan": 0.0, "train": 0.0, "evaluate": 0.0})
    for number in range(1, stages + 1):
        path = folder.stage(number).path
        learned = read_json(path / "learn.json") if (path / "learn.json").exists() else {}
        for name in _COSTS:
            cost[name] += learned.get(name, 0)
        seconds.update(read_json(path / "seconds.json"))
    spent = {f"{name}_seconds": round(value, 1) for name, value in seconds.items()}
    return {**cost, **spent, **_by_answer(folder, stages, seconds.get("evaluate_text", 0.0))}


def _by_answer(folder: RunFolder, stages: int, seconds: float) -> dict[str, float | None]:
    """What an answer took and how large the learner's state was, means of all stages; None where that isn't known."""
    found = [read_json(folder.stage(number).path / "costs.json") for number in range(1, stages + 1)]
    asked = [stage for stage in found if stage["answers"]]
    answers = sum(stage["answers"] for stage in asked)
    read = [stage["prompt_tokens"] for stage in asked]
    states = [stage["state_bytes"] for stage in found if stage["state_bytes"] is not None]
    return {
        "prompt_tokens_per_answer": sum(read) / answers if answers and None not in read else None,
        "seconds_per_answer": seconds / answers if answers else None,
        "state_bytes": sum(states) / len(states) if states else None,
    }


def _answers(folder: RunFolder, tasks: list[str]) -> list[list[int]]:
    """Examples scored after each stage, a list a stage and a number a task; 0 where a task was not asked."""
    rows = [folder.stage(number).scores() for number in range(1, len(folder.tasks) + 1)]
    return [[max((one["n"] for one in row.get(task, {}).values()), default=0) for task in tasks] for row in rows]


def _questions(folder: RunFolder, tasks: list[str]) -> dict[str, dict[str, Any]]:
    """Scores of single questions after the last stage, so that two cells can be compared question by question.

    By task: the first eight digits of each question's id, the number of its instruction, and by metric its score, None
    where it wasn't asked. A metric that gives single questions no score is left out.
    """
    last = folder.stage(len(tasks))
    found = {}
    for task in tasks:
        name = predictions_file(task)
        rows = last.rows(name) if last.has(name) else []
        numbers = {text: number for number, text in enumerate(dict.fromkeys(row["instruction"] for row in rows))}
        metrics = dict.fromkeys(metric for row in rows for metric in row["scores"])
        found[task] = {
            "ids": [row["id"][:8] for row in rows],
            "instructions": [numbers[row["instruction"]] for row in rows],
            "scores": {metric: [_rounded(row["scores"].get(metric)) for row in rows] for metric in metrics},
        }
    return found


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 5)


def _spikes(folder: RunFolder, tasks: list[str]) -> dict[str, int]:
    """Tasks at whose stage the training loss spiked, with how often; restarts with a lower rate count."""
    found = {}
    for number, task in enumerate(tasks, start=1):
        path = folder.stage(number).path / "learn.json"
        facts = read_json(path).get("facts", {}) if path.exists() else {}
        if count := len(facts.get("spikes", [])) + len(facts.get("restarts", [])):
            found[task] = count
    return found


def _allocation(folder: RunFolder, stages: int) -> list[dict[str, int]]:
    """Examples replayed of each earlier task, a mapping a stage."""
    plans = [read_json(folder.stage(number).path / "plan.json") for number in range(1, stages + 1)]
    return [{share["task"]: share["allocation"] for share in plan["tasks"] if share["allocation"]} for plan in plans]
