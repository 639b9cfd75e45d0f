"""What each step before training costs as the rows grow, with an extrapolation that is named as such.

    python benchmarks/scale_curves.py --rows 10000 100000 1000000 --out benchmarks/results/scale_curves.json --table

Every part at every size is measured in a process of its own:

- `read`: a stream of JSON lines, all checks for duplicates and leaks included (`inscl.load_stream`)
- `store`: the same rows from memory into a memory on disk, task by task
- `pick`: opening that memory and reading 2,000 of its examples, spread over all tasks
- `tag`: keyphrases of as many different instructions, on one core
- `embed`: their vectors by the embedder `ngrams`, which needs no model
- `plan`: InsCL's first plan over ten tasks with as many different instructions, for a new task of 1,000; vectors and
  tags are given, and tags are merged by their spelling alone

Rows are made from seed 0: ten tasks, 400 characters a row, for `read`, `store` and `pick` 100 rows an instruction. Peak
memory is that of the whole process, made data included. --table prints both as Markdown: processor seconds and
megabytes, and in italics, beyond the largest size, what they would be if each further row cost what it did between the
two largest sizes. Nothing of that size was run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.replay.inscl import InsCL
from inscl.storage.files.atomic import write_text
from inscl.storage.files.provenance import hardware, now, packages

TASKS, SHARED, PICKS = 10, 100, 2_000
BEYOND = (1_000_000, 1_000_000_000)
VERBS = ("classify", "rewrite", "summarise", "translate", "rank", "extract", "explain", "shorten")
NOUNS = ("review", "letter", "table", "dialogue", "recipe", "poem", "report", "question", "tweet", "contract")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--parts", nargs="*", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, help="where to write; what is there already is kept")
    parser.add_argument("--table", action="store_true", help="print the record as Markdown")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, rows = options.part.split(":")
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(PARTS[name](int(rows), Path(folder)) | {"peak_megabytes": _peak()}))
        return
    found: dict[str, Any] = {"schema": 1, "parts": {}}
    if options.out and options.out.exists():
        found = json.loads(options.out.read_text(encoding="utf-8"))
    for name in options.parts:
        for rows in options.rows:
            if str(rows) in found["parts"].get(name, {}):
                continue
            command = [sys.executable, __file__, "--part", f"{name}:{rows}"]
            begun, load = now(), round(os.getloadavg()[0], 1)
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            one = {"date": begun, "load_average": load, **json.loads(done.stdout.splitlines()[-1])}
            found["parts"].setdefault(name, {})[str(rows)] = one
            found |= {"hardware": hardware(), "packages": packages()}
            print(name, rows, json.dumps(one), flush=True)
            if options.out:
                write_text(options.out, json.dumps(found, indent=1) + "\n")
    if options.table:
        print(table(found["parts"]))


def table(parts: dict[str, dict[str, Any]]) -> str:
    """Processor seconds and memory by size, and beyond."""
    sizes = sorted({int(rows) for one in parts.values() for rows in one})
    beyond = [size for size in BEYOND if size > sizes[-1]]
    heads = [f"{size:,}" for size in sizes] + [f"*{size:,}*" for size in beyond]
    lines = []
    for title, field, shown in (("CPU time", "cpu_seconds", _long), ("peak memory", "peak_megabytes", _large)):
        lines += ["", f"| {title} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for name, one in parts.items():
            known = {int(rows): float(cell[field]) for rows, cell in one.items()}
            cells = [shown(known[size]) if size in known else "" for size in sizes]
            cells += [f"*{shown(_extrapolated(known, size))}*" if len(known) > 1 else "" for size in beyond]
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _extrapolated(known: dict[int, float], size: int) -> float:
    """As if each further row cost what it did between the two largest sizes."""
    (before, low), (last, high) = sorted(known.items())[-2:]
    return high + max(0.0, high - low) / (last - before) * (size - last)


def _long(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.1f} s"


def _large(megabytes: float) -> str:
    for unit, size in (("TB", 1_000_000), ("GB", 1_000)):
        if megabytes >= size:
            return f"{megabytes / size:,.1f} {unit}"
    return f"{megabytes:,.0f} MB"


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def __call__(self) -> dict[str, float]:
        wall, processor = time.perf_counter() - self.wall, time.process_time() - self.processor
        return {"seconds": round(wall, 3), "cpu_seconds": round(processor, 3)}


def instructions(count: int) -> list[str]:
    """Different instructions of about 120 characters."""
    rng = np.random.default_rng(0)
    verbs, nouns = rng.choice(VERBS, (count, 2)), rng.choice(NOUNS, (count, 3))
    return [
        f"You are given a {a} about a {b}, number {k}. {v.capitalize()} it so that a reader of the {c} understands it, "
        f"and {w} the result."
        for k, ((v, w), (a, b, c)) in enumerate(zip(verbs, nouns, strict=True))
    ]


def examples(rows: int, task: int) -> Iterator[Example]:
    """The rows of one task, 100 of each instruction."""
    count = max(1, rows // TASKS // SHARED)
    texts = instructions(count * TASKS)[task * count : (task + 1) * count]
    for k in range(rows // TASKS):
        yield Example(texts[k % count], f"Row {k} of task {task}. " + "word " * 50, (f"answer {k}",), f"task{task}")


def read(rows: int, folder: Path) -> dict[str, float]:
    """A stream of JSON lines."""
    from inscl.data import load_stream

    for t in range(TASKS):
        with (folder / f"task{t}.jsonl").open("w", encoding="utf-8") as file:
            for one in examples(rows, t):
                row = {"instruction": one.instruction, "input": one.input, "output": one.outputs[0]}
                file.write(json.dumps(row) + "\n")
    clock = Clock()
    stream = load_stream({"path": str(folder)}, seed=0)
    found = clock()
    if sum(len(task.train) + len(task.test) for task in stream) != rows:
        raise SystemExit("rows are missing")
    return found


def store(rows: int, folder: Path) -> dict[str, float]:
    """Rows into a memory on disk."""
    from inscl.storage.memory.store import MemoryStore

    tasks = [Task(f"task{t}", tuple(examples(rows, t))) for t in range(TASKS)]
    memory, clock = MemoryStore(folder / "memory"), Clock()
    for t, task in enumerate(tasks):
        memory.add(str(t), task, {}, {})
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return clock() | {"megabytes_on_disk": round(size / 1e6, 1)}


def pick(rows: int, folder: Path) -> dict[str, float]:
    """Opening a memory and reading some of its examples."""
    from inscl.storage.memory.store import MemoryStore

    for t in range(TASKS):
        MemoryStore(folder / "memory").add(str(t), Task(f"task{t}", tuple(examples(rows, t))), {}, {})
    rng, clock = np.random.default_rng(0), Clock()
    memory = MemoryStore(folder / "memory")
    for task in map(memory.task, memory.keys()):
        task.examples_at(rng.choice(len(task.train), min(len(task.train), PICKS // TASKS), replace=False).tolist())
    return clock()


def tag(rows: int, folder: Path) -> dict[str, float]:
    """Keyphrases of different instructions."""
    from inscl.tagging.keyphrases import KeyphraseTagger

    texts, tagger = instructions(rows), KeyphraseTagger()
    tagger(texts[:100])
    clock = Clock()
    for start in range(0, rows, 10_000):  # too few at once for other processes, whose time isn't told
        tagger(texts[start : start + 10_000])
    return clock()


def embed(rows: int, folder: Path) -> dict[str, float]:
    """Their vectors."""
    from inscl.embedding.ngrams import NgramEmbedder

    texts, embedder = instructions(rows), NgramEmbedder()
    embedder(texts[:100])
    clock = Clock()
    for start in range(0, rows, 1_000):
        embedder(texts[start : start + 1_000])
    return clock()


def plan(rows: int, folder: Path) -> dict[str, float]:
    """A plan over as many different instructions, an example of each."""
    rng, texts = np.random.default_rng(0), instructions(rows)
    names = [f"{verb} {noun}" for verb in VERBS for noun in NOUNS]
    tags = {text: tuple(names[k] for k in own) for text, own in zip(texts, rng.integers(0, 80, (rows, 4)), strict=True)}

    def embedder(asked: list[str]) -> np.ndarray:
        return np.random.default_rng(len(asked)).normal(size=(len(asked), 64)).astype(np.float32)

    step = rows // TASKS
    tasks = [Task(f"task{t}", tuple(Example(x, "", ("",)) for x in texts[t * step :][:step])) for t in range(TASKS)]
    new = Task("new", tuple(Example(text, "", ("",)) for text in texts[:1_000]))
    for task in (*tasks, new):
        _ = task.instruction_index
    clock = Clock()
    InsCL(embedder).plan(Memory(tuple(tasks), {}, tags), new, Budget(total=PICKS), rng)
    return clock()


def _peak() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1000, 1)
    return float("nan")


PARTS: dict[str, Callable[[int, Path], dict[str, float]]] = {
    "read": read,
    "store": store,
    "pick": pick,
    "tag": tag,
    "embed": embed,
    "plan": plan,
}

if __name__ == "__main__":
    main()
