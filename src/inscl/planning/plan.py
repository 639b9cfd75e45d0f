"""Planning without training: what would be replayed, why, and the mixed file for another trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inscl.config import kinds
from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.described import keeps_examples
from inscl.contract.plan import PastStage, ReplayPlan
from inscl.contract.seams import Embedder, NullProgress, Progress, Tagger
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.data.export import write_training_file
from inscl.engine.parts import Parts
from inscl.engine.plan import mixed_examples, plan_stage, stream_of, write_plan
from inscl.errors import ConfigError, Problem, nearest
from inscl.planning.proxy import Proxy, ProxyPlanner
from inscl.storage.files.lock import locked
from inscl.storage.run.stage_record import Record

__all__ = ["plan_replay", "plan_stream"]


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
    proxy: Proxy | str | None = None,
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
        proxy: A small model, by name or with its numbers, on which forgetting is measured; it also takes the model's
            place as embedder and as counter of tokens, so that the model itself need not be at hand. None measures
            nothing.

    Returns:
        The plans, in the order of the stages.

    Raises:
        ConfigError: The configuration has mistakes, or no task has that name.
    """
    settings = load_config(config, overrides)
    proxy = Proxy(proxy) if isinstance(proxy, str) else proxy
    if proxy:
        settings = proxy.settings(settings)
    stream = stream_of(settings)
    if any(len(learned.train) and not keeps_examples(learned) for learned in stream):
        raise ConfigError(
            f"{settings.output_dir} doesn't keep the train examples of what it learned, so its stages can't be planned "
            "again: `inscl learn DATA --dry-run` shows the next one's plan"
        )
    if task is not None and task not in stream.names:
        raise ConfigError([Problem("task", f"no task {task!r}{nearest(task, stream.names)}")])
    parts = Parts.of(settings, progress)
    parts.check()
    planner = ProxyPlanner(proxy, parts) if proxy else None
    if not planner and kinds.asks_learner(settings.replay.strategy):
        parts.progress.note(
            "the strategy asks the model as it came, since nothing is trained here; a run's plan differs"
        )
    remembers = traits_of(parts.strategy, StrategyTraits).remembers
    plans: list[ReplayPlan] = []
    past: list[PastStage] = []
    for stage, new_task in enumerate(stream, start=1):
        wanted = task in (None, new_task.name)
        if not (wanted or remembers):
            continue
        parts.progress.stage(stage, len(stream), new_task.name)
        memory = Memory(stream.tasks[: stage - 1], past=tuple(past))
        plan = planner.plan(stream, stage, memory) if planner else plan_stage(parts, stream, stage, memory)
        past += [PastStage(plan)] if remembers else []
        plans += [plan] if wanted else []
        if wanted and out is not None:
            with locked(out):
                record = Record(out / f"{stage:02d}-{new_task.name}", stage, new_task.name)
                record.begin()
                write_plan(record, plan)
                mixed = mixed_examples(new_task, plan, settings.seed)
                write_training_file(record.path / "train.jsonl", mixed, layout)
                record.finish()
        if new_task.name == task:
            break
        if planner and stage < len(stream):
            planner.learn(stream, stage, plan)
    return plans
