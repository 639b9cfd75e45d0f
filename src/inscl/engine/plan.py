"""Planning without training: what would be replayed, why, and the mixed file for another trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inscl.config import kinds
from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Example, Memory, Stream, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder, NullProgress, Progress, Tagger
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.data import load_stream
from inscl.data.export import write_training_file
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, Problem, nearest
from inscl.storage.files.lock import locked
from inscl.storage.run.ledger import LEDGER, stored_stream
from inscl.storage.run.run_folder import Record

__all__ = [
    "mixed_examples",
    "plan_replay",
    "plan_stage",
    "plan_stream",
    "stage_rng",
    "stream_of",
    "waits",
    "write_plan",
]


def plan_replay(
    memory: Memory,
    new_task: Task,
    budget: Budget | Mapping[str, float] | int = 200,
    strategy: str = "inscl",
    seed: int = 0,
    *,
    params: Mapping[str, Any] | None = None,
    embedder: str | Embedder = "model",
    tagger: str | Tagger = "keyphrases",
    tag_embedder: str | Embedder | None = "minilm",
    model: str = "smollm2-135m",
) -> ReplayPlan:
    """Choose what to rehearse while `new_task` is learned.

    Args:
        memory: What was learned; its vectors and tags are used where it has them.
        new_task: What comes next.
        budget: A `Budget`, its content as in ``{"total": 500}``, or examples for each earlier task.
        strategy: Registered name.
        seed: Decides the chance; the same seed gives the same plan.
        params: The strategy's own parameters, as in ``{"dynamic": False}``.
        embedder: Registered name, or any callable from texts to an (n, d) array.
        tagger: Registered name, or any callable from texts to lists of tags.
        tag_embedder: As `embedder`, for merging synonymous tags; None merges equal spellings only.
        model: The model whose hidden states ``embedder="model"`` takes.

    Raises:
        UnknownComponentError: No strategy, embedder or tagger of that name.
        ConfigError: The budget or a parameter is out of range.
    """
    given = {"per_task": budget} if isinstance(budget, int) else budget
    limit = given if isinstance(given, Budget) else Budget(**given)
    named: dict[str, Any] = {"embedder": embedder, "tagger": tagger, "tag_embedder": tag_embedder}
    by_name = {key: value for key, value in named.items() if not callable(value)}
    replay = {"strategy": strategy, "params": dict(params or {}), **by_name}
    own = {f"own_{key}": value for key, value in named.items() if callable(value)}
    parts = Parts(load_config({"replay": replay, "model": {"name": model}}), NullProgress(), **own)
    return parts.strategy.plan(memory, new_task, limit, np.random.default_rng(seed))


def plan_stream(
    config: RunConfig | Mapping[str, Any] | str | Path,
    out: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    task: str | None = None,
    layout: Literal["alpaca", "messages"] = "alpaca",
    progress: Progress | None = None,
) -> list[ReplayPlan]:
    """Plan every stage of a stream, and write each with the training file that mixes new task and replay.

    A stage's folder under `out` holds ``plan.json``, ``replay.jsonl`` (each pick with its reason) and ``train.jsonl``.

    Args:
        config: As for `inscl.run`.
        out: Where to write; None writes nothing.
        overrides: Changes to the configuration.
        task: Plan only the stage that learns this task.
        layout: Rows of ``train.jsonl``: Alpaca's three fields, or chat messages.
        progress: Where to tell how far it is.

    Returns:
        The plans, in the order of the stages.

    Raises:
        ConfigError: The configuration has mistakes, or no task has that name.
    """
    settings = load_config(config, overrides)
    stream = stream_of(settings)
    if task is not None and task not in stream.names:
        raise ConfigError([Problem("task", f"no task {task!r}{nearest(task, stream.names)}")])
    parts = Parts.of(settings, progress)
    parts.check()
    if kinds.accepts(kinds.load("strategies", settings.replay.strategy), "losses"):
        parts.progress.note("losses are those of the model as it came, since nothing is trained here; a run's differ")
    plans = []
    for stage, new_task in enumerate(stream, start=1):
        if task not in (None, new_task.name):
            continue
        parts.progress.stage(stage, len(stream), new_task.name)
        plan = plan_stage(parts, stream, stage, Memory(stream.tasks[: stage - 1]))
        plans.append(plan)
        if out is not None:
            with locked(out):
                record = Record(out / f"{stage:02d}-{new_task.name}", stage, new_task.name)
                record.begin()
                write_plan(record, plan)
                mixed = mixed_examples(new_task, plan, settings.seed)
                write_training_file(record.path / "train.jsonl", mixed, layout)
                record.finish()
    return plans


def plan_stage(parts: Parts, stream: Stream, stage: int, memory: Memory) -> ReplayPlan:
    """The plan of one stage, 1-based; an empty one where the strategy `waits` for the last task."""
    task = stream.tasks[stage - 1]
    if waits(parts, stream, stage):
        note = "nothing is learned before the last task"
        return ReplayPlan(task.name, parts.config.replay.strategy, budget=parts.budget.to_json(), notes=(note,))
    return parts.strategy.plan(memory, task, parts.budget, stage_rng(parts.config.seed, stage))


def waits(parts: Parts, stream: Stream, stage: int) -> bool:
    """Whether nothing is learned at this stage: joint training waits for the last task."""
    return stage < len(stream) and traits_of(parts.strategy, StrategyTraits).waits


def mixed_examples(new_task: Task, plan: ReplayPlan, seed: int) -> list[Example]:
    """All of the new task's train split and the replay, shuffled together."""
    both = [*new_task.train, *plan.examples]
    return [both[k] for k in np.random.default_rng([seed, len(both)]).permutation(len(both))]


def write_plan(record: Record, plan: ReplayPlan) -> None:
    """Write ``plan.json`` and ``replay.jsonl``: before any training, so that the reasons stand whatever comes."""
    record.write("plan.json", {**plan.to_json(), "stage": record.stage})
    record.write_rows("replay.jsonl", [pick.to_json() for pick in plan.picks])


def stream_of(settings: RunConfig) -> Stream:
    """The stream that a configuration names, sampled with its seed; a workspace's is what it has learned."""
    folder = Path(settings.output_dir)
    if settings.stream.path == "workspace" and (folder / LEDGER).exists():
        return stored_stream(folder)
    return load_stream(settings.stream.model_dump(), seed=settings.seed)


def stage_rng(seed: int, stage: int) -> np.random.Generator:
    """The chance of one stage; independent of how many stages ran before it in this process."""
    return np.random.default_rng([seed, stage])
