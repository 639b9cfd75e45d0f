"""What replaying an instruction does for it: a run with InsCL beside one with random replay, question by question.

    python benchmarks/replayed_instructions.py --pair RANDOM INSCL [--pair RANDOM INSCL ...] [--out FILE]

RANDOM and INSCL are run folders of the same stream. Every test question of a task before the last falls into one of
four groups: its instruction was replayed at some stage by both runs, by one of them, or by neither. Both runs answered
the same questions, so the difference within a group is not that of easy and hard questions. Means are over questions,
in points of the first metric, after the last stage; intervals are 95 % percentile bootstraps that draw whole
instructions, since questions under one instruction go together.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES, SEED = 10_000, 0


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def replayed(run: Path) -> Counter[str]:
    """How often each instruction was replayed, over all stages."""
    return Counter(row["instruction"] for path in sorted(run.glob("stages/*/replay.jsonl")) for row in lines(path))


def last_answers(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Task and id -> what the model answered after the last stage; without the task learned last."""
    stage = max((path for path in run.glob("stages/*") if (path / "DONE").exists()), key=lambda path: path.name)
    newest = json.loads((stage / "plan.json").read_text("utf-8"))["new_task"]
    files = [path for path in sorted(stage.glob("predictions/*.jsonl")) if path.stem != newest]
    return {(path.stem, row["id"]): row for path in files for row in lines(path)}


def compared(random: Path, inscl: Path) -> list[dict[str, Any]]:
    """A row a question: who replayed its instruction, how often, and both scores in points."""
    first, second = last_answers(random), last_answers(inscl)
    if first.keys() != second.keys():
        raise SystemExit(f"{random} and {inscl} were not asked the same questions: they are no pair")
    counts = {"random": replayed(random), "inscl": replayed(inscl)}
    rows = []
    for key, one in first.items():
        text = one["instruction"]
        by = [name for name, count in counts.items() if text in count]
        metric = next(iter(one["scores"]))
        rows.append(
            {
                "group": "both" if len(by) == 2 else by[0] if by else "neither",
                "instruction": text,
                "random": 100 * one["scores"][metric],
                "inscl": 100 * second[key]["scores"][metric],
                "times_random": counts["random"][text],
                "times_inscl": counts["inscl"][text],
            }
        )
    return rows


def interval(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Of the mean difference, InsCL's less random's; (low, high) in points."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in rows:
        sums[row["instruction"]][0] += row["inscl"] - row["random"]
        sums[row["instruction"]][1] += 1
    clusters = np.array(list(sums.values()))
    drawn = np.random.default_rng(SEED).integers(len(clusters), size=(RESAMPLES, len(clusters)))
    totals = clusters[drawn].sum(axis=1)
    low, high = np.percentile(totals[:, 0] / totals[:, 1], [2.5, 97.5])
    return round(float(low), 1), round(float(high), 1)


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for group in ("both", "inscl", "random", "neither", "all"):
        of = [row for row in rows if group in (row["group"], "all")]
        if of:
            means = {key: round(float(np.mean([row[key] for row in of])), 1) for key in rows[0] if key not in TEXTS}
            difference = round(float(np.mean([row["inscl"] - row["random"] for row in of])), 1)
            size = {"questions": len(of), "instructions": len({row["instruction"] for row in of})}
            found[group] = {**size, **means, "inscl_minus_random": difference, "interval": interval(of)}
    return found


TEXTS = ("group", "instruction")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pair", nargs=2, type=Path, action="append", required=True, metavar=("RANDOM", "INSCL"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    groups = summary([row for pair in given.pair for row in compared(*pair)])
    content = {
        "date": date.today().isoformat(),
        "pairs": [[run.name for run in pair] for pair in given.pair],
        "resamples": RESAMPLES,
        "groups": groups,
    }
    text = json.dumps(content, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
