"""Training and evaluation with the states of frozen lower layers kept, and with all layers run each time.

    python benchmarks/lower_states.py demo --adapted 10
    python benchmarks/lower_states.py ../shared/superni16 --adapted 6 --tasks 2 --rows 64

LoRA adapts the last layers alone. Tasks are learned one after the other, each with rows of the earlier ones replayed,
and after each the test rows so far are scored by likelihood, as a run does. Both ways do the same by turns, in chunks
of one epoch or one evaluation, so that neither has a better hour of the machine. The first time that a text is read its
states are computed, which costs more than to read it in a batch; every later time it is only the upper layers. CPU
seconds are of all threads. Beside the ratios stands how far apart losses and likelihoods are, nats per token.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation_speed import Spent, write_record

import inscl
from inscl.contract import Question, Task
from inscl.contract.plan import Pick, ReplayPlan
from inscl.learners import FineTune
from inscl.models.names import DEFAULT_MODEL, resolve

RESULTS = Path(__file__).parent / "results"
# PEFT wants names beside layers_to_transform.
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
KINDS = ("first epochs", "later epochs", "first evaluations", "later evaluations")
WAYS = ("all layers", "kept states")


def plan_of(stage: int, tasks: Sequence[Task], replayed: int) -> ReplayPlan:
    """The first rows of the earlier tasks."""
    picks = [Pick(example, task.name, replayed) for task in tasks[:stage] for example in task.train[:replayed]]
    return ReplayPlan(tasks[stage].name, "made", tuple(picks))


def measured(
    learners: dict[str, FineTune], tasks: Sequence[Task], replayed: int, epochs: int
) -> dict[str, dict[str, Spent]]:
    """Both ways through all stages: seconds of the first pass over new rows, of later ones, and of evaluation."""
    spent = {kind: {way: Spent() for way in WAYS} for kind in KINDS}
    for stage, task in enumerate(tasks):
        plan = plan_of(stage, tasks, replayed)
        asked = [example for one in tasks[: stage + 1] for example in one.test]
        questions, references = [Question.of(example) for example in asked], [example.output for example in asked]
        for epoch in range(epochs):
            kind = "first epochs" if epoch == 0 else "later epochs"
            for way in WAYS if (stage + epoch) % 2 else reversed(WAYS):
                learner = learners[way]
                spent[kind][way].measure(lambda: [learner.learn(task, plan).loss])  # noqa: B023 - called at once
        for kind in KINDS[2:]:
            for way in WAYS if stage % 2 else reversed(WAYS):
                learner = learners[way]
                spent[kind][way].measure(
                    lambda: [one.loss for one in learner.log_likelihoods(questions, references)]  # noqa: B023
                )
        print(f"{task.name}: {len(task.train)} rows, {len(plan.picks)} replayed, {len(asked)} scored", flush=True)
    return spent


def row_of(kind: str, whole: Spent, kept: Spent) -> dict[str, Any]:
    """A row of the record."""
    return {
        "kind": kind,
        "all_layers_cpu_seconds": round(whole.cpu, 2),
        "kept_states_cpu_seconds": round(kept.cpu, 2),
        "faster_cpu": round(whole.cpu / kept.cpu, 2),
        "faster_wall": round(whole.wall / kept.wall, 2),
        "largest_difference": max(abs(one - other) for one, other in zip(whole.found, kept.found, strict=True)),
    }


def main() -> None:
    """Measure both ways and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", help="what inscl.load_stream takes")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--adapted", type=int, default=10, help="how many of the last layers LoRA changes")
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--rows", type=int, default=32, help="train rows of a task, and as many test rows")
    parser.add_argument("--replayed", type=int, default=16, help="rows of each earlier task")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--batching", default="pack", choices=("pack", "length"))
    parser.add_argument("--mib", type=int, default=2048, help="memory for states")
    parser.add_argument("--out", type=Path, default=RESULTS / "lower_states.json")
    given = parser.parse_args()
    from transformers import AutoConfig

    layers = AutoConfig.from_pretrained(resolve(given.model)).num_hidden_layers
    if not 0 < given.adapted < layers:
        parser.error(f"--adapted: expected 1 to {layers - 1}")
    stream = inscl.load_stream(
        {"path": given.stream, "train_per_task": given.rows, "test_per_task": given.rows, "leaks": "drop"}
    )
    tasks = stream.tasks[: given.tasks]
    upper = list(range(layers - given.adapted, layers))
    adapter = {"kind": "lora", "r": 8, "target_modules": LINEAR, "layers_to_transform": upper}
    learners = {
        way: FineTune(
            given.model,
            adapter=adapter,
            precision=given.precision,
            epochs=1,
            batch_size=given.batch_size,
            batching=given.batching,
            lower_states=given.mib if way == "kept states" else 0,
        )
        for way in WAYS
    }
    for learner in learners.values():  # loads the weights, which isn't timed
        learner.answer([Question.of(tasks[0].test[0])], max_new_tokens=1)
    spent = measured(learners, tasks, given.replayed, given.epochs)
    rows = [row_of(kind, ways["all layers"], ways["kept states"]) for kind, ways in spent.items()]
    lower = learners["kept states"]._weights.lower
    assert lower is not None
    tokens = {"kind": "tokens", "computed": lower.computed, "found": lower.found, "layers": layers}
    write_record(given.out, [*rows, tokens])


if __name__ == "__main__":
    main()
