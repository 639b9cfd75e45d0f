"""What a strategy's plans replay, counted before anything is trained: how far they differ from random replay's.

    python benchmarks/plan_overlap.py configs/bench/superni16.yaml --budgets 1 4 16 \
        --out benchmarks/results/plan_overlap.json

For each strategy of the grid that replays, each budget (examples for each earlier task) and each seed:

- moved: picks that the allocation gives to another task than equal shares would, as a share of all picks;
- examples, instructions: distinct ones among the picks of all stages together;
- as_inscl, as_random: the share of picks that `inscl`, or `random`, makes at the same stage too.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inscl.bench.grid.grid import cells_of, load_grid
from inscl.config.settings import RunConfig
from inscl.contract import Memory, Stream
from inscl.engine.parts import Parts
from inscl.engine.plan import plan_stage, stream_of
from inscl.replay import ReplayPlan


def plans_of(settings: RunConfig, stream: Stream) -> list[ReplayPlan]:
    parts = Parts.of(settings)
    return [
        plan_stage(parts, stream, stage, Memory(stream.tasks[: stage - 1])) for stage in range(2, len(stream.tasks) + 1)
    ]


def shared(plans: Sequence[ReplayPlan], others: Sequence[ReplayPlan]) -> float:
    counts = [[Counter(pick.example.id for pick in plan.picks) for plan in side] for side in (plans, others)]
    pairs = list(zip(*counts, strict=True))
    return round(sum((a & b).total() for a, b in pairs) / sum(a.total() for a, _ in pairs), 3)


def counted(plans: Sequence[ReplayPlan]) -> dict[str, float]:
    picks = [[pick.example for pick in plan.picks] for plan in plans]
    total = sum(map(len, picks))
    moved = sum(
        abs(share.allocation - sum(one.allocation for one in plan.shares) / len(plan.shares)) / 2
        for plan in plans
        for share in plan.shares
    )
    return {
        "picks": total,
        "moved": round(moved / total, 3),
        "examples": len({example.id for stage in picks for example in stage}),
        "instructions": len({example.instruction for stage in picks for example in stage}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("grid", type=Path)
    parser.add_argument("--budgets", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    streams: dict[int, Stream] = {}
    rows: list[dict[str, Any]] = []
    for size in given.budgets:
        grid = load_grid(given.grid).model_copy(update={"budgets": [{"per_task": size}]})
        cells = [cell for cell in cells_of(grid) if cell.config.replay.strategy in ("inscl", "random")]
        plans: dict[tuple[str, int], list[ReplayPlan]] = {}
        for cell in cells:
            if cell.seed not in streams:
                streams[cell.seed] = stream_of(cell.config)
            plans[cell.method, cell.seed] = plans_of(cell.config, streams[cell.seed])
        for (strategy, seed), found in plans.items():
            alike = {f"as_{name}": shared(found, plans[name, seed]) for name in ("inscl", "random")}
            rows.append({"strategy": strategy, "per_task": size, "seed": seed, **counted(found), **alike})
            print(json.dumps(rows[-1]), flush=True)
    if given.out:
        content = {"command": f"python benchmarks/plan_overlap.py {given.grid}", "rows": rows}
        given.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
