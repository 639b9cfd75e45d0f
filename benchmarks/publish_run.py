"""A finished run as Markdown: matrix, curves, allocation and cost, straight from its records.

python benchmarks/publish_run.py runs/superni16 > docs/results-superni16.md
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from inscl.engine.open_run import open_run
from inscl.errors import InsclError
from inscl.storage.files.atomic import read_json


def table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.1f}"


def matrix(folder: Any, tasks: tuple[str, ...], metric: str) -> str:
    scores = folder.scores()
    rows = []
    for stage, row in enumerate(scores.array(metric)):
        if not all(map(math.isnan, row)):
            rows.append([f"{stage} {tasks[stage - 1] if stage else 'base model'}", *map(number, row)])
    experts = scores.expert_array(metric)
    if not all(map(math.isnan, experts)):
        rows.append(["experts", *map(number, experts)])
    return table(["after stage", *(f"{k}" for k in range(1, len(tasks) + 1))], rows)


def by_stage(path: Path, folder: Any, tasks: tuple[str, ...], metric: str) -> str:
    metrics = read_json(path / "metrics.json")[metric]
    gains = metrics["relative_gain"]["by_stage"]
    array = folder.scores().array(metric)
    rows = []
    for stage, task in enumerate(tasks, start=1):
        learned = array[stage, :stage].mean()
        values = learned, array[stage, stage - 1], gains.get(str(stage))
        rows.append([f"{stage} {task}", *map(number, values)])
    return table(["stage", f"mean {metric} of tasks learned", "of the new task", "Relative Gain"], rows)


def allocation(folder: Any, tasks: tuple[str, ...]) -> str:
    rows = []
    for stage, task in enumerate(tasks[1:], start=2):
        plan = read_json(folder.stage(stage).path / "plan.json")
        shares = {row["task"]: row["allocation"] for row in plan["tasks"]}
        rows.append([f"{stage} {task}", *(str(shares.get(name, "")) for name in tasks[:-1]), str(sum(shares.values()))])
    return table(["stage", *(f"{k}" for k in range(1, len(tasks))), "sum"], rows)


def cost(folder: Any, tasks: tuple[str, ...]) -> str:
    rows, totals = [], [0.0] * 7
    for stage, task in enumerate(tasks, start=1):
        record = folder.stage(stage).path
        learned, seconds = read_json(record / "learn.json"), read_json(record / "seconds.json")
        share = 100 * learned["replay_tokens"] / learned["tokens"]
        values = [learned["steps"], learned["tokens"], learned["replay_tokens"], learned["answer_tokens"]]
        values += [seconds["plan"], seconds["train"], seconds["evaluate"]]
        totals = [a + b for a, b in zip(totals, values, strict=True)]
        rows.append([f"{stage} {task}", *(f"{value:.0f}" for value in values), f"{share:.0f} %"])
    rows.append(["**all**", *(f"{value:.0f}" for value in totals), f"{100 * totals[2] / totals[1]:.0f} %"])
    heading = ["stage", "steps", "tokens", "of replay", "of answers", "plan s", "train s", "evaluate s", "replay"]
    return table(heading, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder in which every stage is finished")
    path = parser.parse_args().run
    try:
        opened = open_run(path)
    except InsclError as error:
        parser.error(str(error))
    settings, stream, folder = opened.settings, opened.stream, opened.folder
    manifest = read_json(path / "manifest.json")
    metric = settings.evaluation.metrics[0]
    machine = manifest["hardware"]
    print(
        f"Date {manifest['created'][:10]}; seed {manifest['seed']}; {machine['processor']}, {machine['cores']} cores, "
    )
    print(f"{machine['memory_gib']} GiB, {', '.join(machine['bf16']) or 'no bf16'};")
    versions = manifest["packages"]
    print(f"inscl {versions['inscl']}, torch {versions['torch']}, transformers {versions['transformers']},")
    print(f"Python {manifest['python']}.\n")
    if manifest["stream"]["findings"]:
        print("What the reader found in the data:\n")
        for finding in manifest["stream"]["findings"]:
            print(f"- {finding.replace('|', chr(92) + '|')}")
        print()
    print(f"**Matrix** ({metric}, percent; columns are tasks in order; empty: not evaluated)\n")
    print(matrix(folder, stream.names, metric))
    print("**Curves** (over the stages)\n")
    print(by_stage(path, folder, stream.names, metric))
    print("**Allocation** (examples replayed of each earlier task)\n")
    print(allocation(folder, stream.names))
    print("**Cost**\n")
    print(cost(folder, stream.names))
    print("**Metrics**\n\n```json")
    print(json.dumps(read_json(path / "metrics.json")[metric], indent=1))
    print("```")


if __name__ == "__main__":
    main()
