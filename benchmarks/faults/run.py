"""Strike a small run with every fault there is, go on, and compare: python benchmarks/faults/run.py --out FILE

Counts by kind go to FILE as JSON. Exit code 1 if anything was lost. Hours on a busy machine; --take N tries N of each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.damage import Strike, damage_finished, damage_unfinished
from faults.life import COMMANDS, life
from faults.limits import limited
from faults.points import KINDS, Point
from faults.strikes import Bench, moments, toy_model
from inscl.storage.files.provenance import hardware, now, packages

# Every how-manyth point is tried, by kind and place.
EVERY = {
    ("kill", "files"): 1,
    ("kill", "work"): 1,
    ("terminate", "files"): 25,
    ("terminate", "work"): 6,
    ("interrupt", "files"): 25,
    ("interrupt", "work"): 6,
    ("disk full", "files"): 20,
    ("read-only", "files"): 40,
    ("no memory", "work"): 4,
    ("clock", "files"): 60,
}


MORE = ("kill at random", "limits", "damage")


def faults(bench: Bench, chance: random.Random, take: int | None, kinds: list[str] | None) -> Iterator[Strike]:
    """All faults of one bench, or those of some kinds, ready to be struck; at most `take` of each kind and place."""
    for (kind, where), every in EVERY.items():
        if kind not in (kinds or KINDS):
            continue
        numbers = list(range(1, bench.points[where] + 1, every))
        for number in numbers if take is None else sorted(chance.sample(numbers, min(take, len(numbers)))):
            yield partial(bench.strike, Point(kind, where, number))
    if "kill at random" in (kinds or MORE):
        for at in moments(60 if take is None else take, bench.seconds):
            yield partial(bench.kill_at, at)
    if "limits" in (kinds or MORE):
        yield from limited(bench, chance, take)
    if "damage" in (kinds or MORE):
        yield from damage_finished(bench, chance, take)
        yield from damage_unfinished(bench, chance, None if take is None else max(1, take // 3))


def main() -> int:
    """Run everything; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where the counts go")
    parser.add_argument("--folder", type=Path, help="where runs go; default: a folder in memory, if there is one")
    parser.add_argument(
        "--model", type=Path, help="a tiny model's folder: real training instead of a learner of digests"
    )
    parser.add_argument(
        "--life", nargs="*", choices=[*COMMANDS], help="strike a workspace's commands instead of a run: these, or all"
    )
    parser.add_argument("--take", type=int, help="faults of each kind; default: all points")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, *MORE], help="only these; default: all")
    parser.add_argument("--combine", nargs="+", type=Path, help="strike nothing: add up files that --out wrote")
    parser.add_argument("--part", default="1/1", help="2/3: the second of three parts, for processes side by side")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.combine:
        return combine(options.combine, options.out)
    shared = Path("/dev/shm")
    parent = options.folder or (shared if shared.is_dir() else None)
    folder = Path(tempfile.mkdtemp(prefix="inscl-faults-", dir=parent))
    model = options.model or toy_model(folder / "model")
    begun, chance = time.time(), random.Random(options.seed)
    counts, ended, lost, points = Counter(), Counter(), [], {}
    first, step = map(int, options.part.split("/"))
    for name, bench in _benches(folder, model, options):
        points[name] = bench.points
        print(f"{name}, undisturbed: {bench.points}, {bench.seconds:.1f} s", flush=True)
        for strike in islice(faults(bench, chance, options.take, options.kinds), first - 1, None, step):
            outcome = strike()
            counts[outcome.kind] += 1
            ended[f"{outcome.kind}: {outcome.ended}"] += 1
            if outcome.lost:
                what = f"{name}, {outcome.what}"
                lost.append({"what": what, "ended": outcome.ended, "lost": outcome.lost, "note": outcome.note})
                print(f"LOST {what}: {outcome.lost}\n{outcome.note}", flush=True)
            if sum(counts.values()) % 25 == 0:
                print(sum(counts.values()), dict(counts), f"{len(lost)} lost", flush=True)
            if options.out:
                write(options, points, begun, counts, ended, lost)
    print(sum(counts.values()), "faults,", len(lost), "lost")
    shutil.rmtree(folder, ignore_errors=True)
    return 1 if lost else 0


def _benches(folder: Path, model: Path, options: argparse.Namespace) -> Iterator[tuple[str, Bench]]:
    """What is struck, by name: a run, or each command of a workspace's life; undisturbed ones are through."""
    counted = options.model is None
    if options.life is not None:
        # Space and damage need a run of some length: `run` has that, and writes the same files.
        options.kinds = options.kinds or [*KINDS, "kill at random"]
        for name, bench in life(folder, model, counted):
            if name in (options.life or COMMANDS):
                yield name, bench
        return
    bench = Bench(folder, model, counted)
    bench.undisturbed()
    yield "run", bench


def combine(files: list[Path], out: Path) -> int:
    """Add up counts, and keep each part beside the sum."""
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    kinds = Counter()
    for part in parts:
        kinds.update(part["by kind"])
    total = {key: sum(part[key] for part in parts) for key in ("faults", "lost")}
    record = {**total, "by kind": dict(sorted(kinds.items())), "parts": parts}
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if total["lost"] else 0


def write(options: argparse.Namespace, points: dict, begun: float, counts: Counter, ended: Counter, lost: list) -> None:
    """The counts so far."""
    record = {
        "command": f"python benchmarks/faults/run.py {' '.join(_without_folders(sys.argv[1:]))}",
        "date": now(),
        "hardware": hardware(),
        "packages": packages(),
        "seconds": round(time.time() - begun),
        "learner": "a model's Trainer" if options.model else "digests of what was taught",
        "points of an undisturbed run": points,
        "faults": sum(counts.values()),
        "lost": len(lost),
        "by kind": dict(sorted(counts.items())),
        "how runs ended": dict(sorted(ended.items())),
        "what was lost": lost,
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _without_folders(arguments: list[str]) -> list[str]:
    """Arguments as another would give them: what a file is called, and not where it lies here."""
    return [Path(argument).name if argument.startswith("/") else argument for argument in arguments]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
