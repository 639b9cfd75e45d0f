"""What a large memory costs: opening it, and planning a stage from it, each in a process of its own.

    python benchmarks/memory_store.py --out benchmarks/results/memory_store.json

makes a memory of made-up examples (50 tasks of 20,000, with 40 instructions each, unless told otherwise) in a temporary
folder, then starts a fresh Python for every strategy, which opens the memory, plans one more stage and says how long
each took, how much memory it had at its peak, and how many bytes it read. Vectors and tags of the instructions are in
the memory, so that no model is needed. Seconds are those of the wall, on whatever else the machine does meanwhile (its
load is noted); CPU seconds are of all threads. Megabytes read are those of the plan, modules that it loads included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.storage.files.provenance import hardware, now, packages
from inscl.storage.memory.store import MemoryStore

STRATEGIES = ("inscl", "random", "prototype_instruction", "diverse_instruction", "reservoir", "loss")
DIMENSIONS = 576  # the hidden size of SmolLM2-135M
WORDS = 40  # of an input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000, help="train examples of a task")
    parser.add_argument("--instructions", type=int, default=40, help="distinct instructions of a task")
    parser.add_argument("--per-task", type=int, default=200, help="the budget")
    parser.add_argument("--folder", type=Path, help="where to make the memory, or one made before; kept")
    parser.add_argument("--strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        print(json.dumps(planned(options.folder, options.plan, options.per_task)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "memory"
        found: dict[str, Any] = {"schema": 1, "date": now(), "lance": version("pylance")}
        found["load_average"] = round(os.getloadavg()[0], 1)
        found |= {"hardware": hardware(), "packages": packages()}
        sizes = ("tasks", "rows", "instructions", "per_task")
        found["configuration"] = {name: getattr(options, name) for name in sizes}
        found["made"] = made(folder, options.tasks, options.rows, options.instructions)
        found["planned"] = {}
        for name in options.strategies:
            command = [sys.executable, __file__, "--plan", name, "--folder", folder, "--per-task", options.per_task]
            done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
            found["planned"][name] = json.loads(done.stdout.splitlines()[-1])
            print(name, json.dumps(found["planned"][name]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def made(folder: Path, tasks: int, rows: int, instructions: int) -> dict[str, Any]:
    """Write the memory, unless it is there."""
    store = MemoryStore(folder)
    rng = np.random.default_rng(0)
    seconds = []
    for number in range(len(store.keys()), tasks):
        task = invented(f"task{number}", rows, instructions, rng)
        vectors = {text: rng.normal(size=DIMENSIONS).astype(np.float32) for text in task.instructions}
        tags = {text: tuple(text.split()[:6]) for text in task.instructions}
        begun = time.perf_counter()
        store.add(f"{number:04d}", task, vectors, tags)
        seconds.append(round(time.perf_counter() - begun, 3))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found = {"megabytes": round(size / 1e6, 1), "seconds_first_add": seconds[:1], "seconds_last_add": seconds[-1:]}
    print("made", json.dumps(found), flush=True)
    return found


def invented(name: str, rows: int, instructions: int, rng: np.random.Generator) -> Task:
    """A task whose instructions differ in how often they occur, as in real ones."""
    vocabulary = np.array([f"{a}{b}{c}" for a in "bdfglmnprst" for b in "aeiou" for c in "lmnrst"])
    texts = [f"{name}: " + " ".join(rng.choice(vocabulary, 12)) for _ in range(instructions)]
    numbers = np.minimum(rng.geometric(3 / instructions, rows) - 1, instructions - 1)

    def examples() -> Iterator[Example]:
        for number, words in zip(numbers, rng.choice(vocabulary, (rows, WORDS)), strict=True):
            yield Example(texts[number], " ".join(words[:-8]), (" ".join(words[-8:]),), name)

    return Task(name, tuple(examples()), tuple(examples())[:20])


def planned(folder: Path, name: str, per_task: int) -> dict[str, Any]:
    """Open the memory and plan one more stage, in this process, which has done nothing else."""
    begun = time.perf_counter()
    import lance  # noqa: F401

    loaded, cpu_loaded = time.perf_counter(), time.process_time()
    store = MemoryStore(folder)
    memory = store.memory(list(map(store.task, store.keys())))
    opened, cpu_opened = time.perf_counter(), time.process_time()
    before = _bytes_read()
    new = invented("new", 200, 10, np.random.default_rng(1))
    memory = memory_with(memory, new)
    start, worked = time.perf_counter(), time.process_time()
    plan = strategy(name).plan(memory, new, Budget(per_task=per_task), np.random.default_rng(0))
    ended, had_worked = time.perf_counter(), time.process_time()
    return {
        "seconds_import": round(loaded - begun, 3),
        "seconds_open": round(opened - loaded, 3),
        "cpu_seconds_open": round(cpu_opened - cpu_loaded, 3),
        "seconds_plan": round(ended - start, 3),
        "cpu_seconds_plan": round(had_worked - worked, 3),
        "peak_megabytes": _peak(),
        "megabytes_read": round((_bytes_read() - before) / 1e6, 1),
        "examples": sum(len(task.train) for task in memory.tasks),
        "picks": len(plan.picks),
    }


def memory_with(memory: Memory, new: Task) -> Memory:
    """The memory with vectors and tags of the new task's instructions."""
    texts = new.instructions
    vectors = np.random.default_rng(2).normal(size=(len(texts), DIMENSIONS)).astype(np.float32)
    known = {**memory.vectors, **dict(zip(texts, vectors, strict=True))}
    return Memory(memory.tasks, known, {**memory.tags, **{text: tuple(text.split()[:6]) for text in texts}})


def strategy(name: str) -> Any:
    """A strategy by name; whatever would need a model is invented."""
    from inscl.config import kinds
    from inscl.replay.inscl import InsCL

    if name == "inscl":
        return InsCL()
    factory = kinds.load("strategies", name)
    needs: dict[str, Any] = {"embedder": _no_embedder, "losses": lambda e: np.array([len(x.output) for x in e], float)}
    return factory(**{key: value for key, value in needs.items() if kinds.accepts(factory, key)})


def _no_embedder(texts: Sequence[str]) -> Any:
    raise AssertionError(f"{len(texts)} texts have no vector")


def _peak() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1000, 1)
    return float("nan")


def _bytes_read() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


if __name__ == "__main__":
    main()
