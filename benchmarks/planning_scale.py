"""What an InsCL plan costs as the memory grows, and what summaries of tasks change in it.

    python benchmarks/planning_scale.py --superni FOLDER --out benchmarks/results/planning_scale.json

Measured are, each in a process of its own:

- `plans`: a plan for one new task after 50 to 1,000 learned ones of 1,000 distinct instructions each (vectors of 384
  numbers, read from a file; five raw tags each, of 50,000 that the tag embedder puts into groups of synonyms). `first`
  makes all summaries and counts all tags; `next` is the plan for one more task in the same process; `reopened` is that
  plan from a fresh strategy, as in a new process, to which the memory gives the summaries and the tags.
- `exact`: distances of 20 such tasks to one more, by this package and by a plain loop over SciPy's cdist and POT's emd.
- `accuracy`: the part of the budget that goes to other tasks when distances come from summaries: for the last stage of
  a made stream of 200 tasks, and, with --superni, for every stage of that stream (its tasks in the order of their
  names). The exact distance must lie within the bounds that the plan gives; `outside` counts those that don't.
- `opening`: a stored memory of 50 such tasks: writing their vectors and tags, opening it, looking up what it knows of
  one task, and reading everything.
- `stored`: a memory on disk of as many tasks, two examples of each instruction; `open` and `plan` are of a new process
  that finds summaries and tags there and plans for one more task: it reads the examples that it picks, nothing more.
- `tags`: instructions that the tagger keyphrases tags a second, on all cores and on one. With --superni they are those
  of that stream, each with a number behind it; otherwise made ones.

Seconds are those of the wall, on whatever else the machine does meanwhile (its load is noted), CPU seconds those of all
threads. What is made is made from seed 0. FOLDER holds one Parquet file a task, as `inscl data superni` writes them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.example_table import ExampleTable
from inscl.contract.stored_facts import known_of
from inscl.replay.inscl import InsCL
from inscl.replay.shares.allocation import allocate
from inscl.storage.files.provenance import hardware, now, packages
from inscl.tagging.normalise import normalise_tag

DIMENSIONS, TAGS, SYNONYMS, TAGS_EACH = 384, 50_000, 8, 5
BUDGET = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="*", default=[50, 100, 200, 500, 1000])
    parser.add_argument("--instructions", type=int, default=1000, help="distinct instructions of a task")
    parser.add_argument("--stored", type=int, nargs="*", default=[100, 400], help="tasks of the memory on disk")
    parser.add_argument("--pairs", type=int, default=20, help="tasks whose exact distances are timed")
    parser.add_argument("--made", type=int, default=200, help="tasks of the made stream for the accuracy")
    parser.add_argument("--made-instructions", type=int, default=500, help="distinct instructions of each, about")
    parser.add_argument("--texts", type=int, default=100_000, help="instructions to tag")
    parser.add_argument("--superni", type=Path, help="a stream of Parquet files")
    parser.add_argument("--embedder", default="minilm", help="of the instructions of --superni")
    parser.add_argument("--out", type=Path, help="where to write; parts that are there already are kept")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part(options, *options.part.split(":"))))
        return
    found: dict[str, Any] = {"schema": 1}
    if options.out and options.out.exists():
        found = json.loads(options.out.read_text(encoding="utf-8"))
    parts = [*(f"plans:{count}" for count in options.tasks), "exact", "accuracy:made", "opening", "tags"]
    parts += [f"stored:{count}" for count in options.stored]
    for name in [*parts, *(["accuracy:superni"] if options.superni else [])]:
        if name in found.get("parts", {}):
            continue
        command = [sys.executable, __file__, *sys.argv[1:], "--part", name]
        begun, load = now(), round(os.getloadavg()[0], 1)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        one = {"date": begun, "load_average": load, **json.loads(done.stdout.splitlines()[-1])}
        found.setdefault("parts", {})[name] = one
        sizes = ("instructions", "pairs", "made", "made_instructions", "texts", "embedder")
        found["configuration"] = {size: getattr(options, size) for size in sizes} | {"seed": 0}
        found |= {"hardware": hardware(), "packages": packages()}
        print(name, json.dumps(one), flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def part(options: argparse.Namespace, name: str, which: str = "") -> dict[str, Any]:
    """One part of the record."""
    if name == "plans":
        return plans(int(which), options.instructions)
    if name == "exact":
        return exact(options.pairs, options.instructions)
    if name == "opening":
        return opening(50, options.instructions)
    if name == "stored":
        return stored(int(which), options.instructions)
    if name == "reader":
        return reader(int(which), Path(options.folder), options.instructions)
    if name == "tags":
        return tagged(options.texts, options.superni)
    if which == "superni":
        return accuracy(of_superni(options.superni, options.embedder), (16, 32, 64, 96), every_stage=True)
    return accuracy(of_made(options.made, options.made_instructions), (64, 96), every_stage=False)


class Clock:
    """Seconds since the last call, of the wall and of all threads."""

    def __init__(self) -> None:
        self.at = time.perf_counter(), time.process_time()

    def __call__(self) -> dict[str, float]:
        before, self.at = self.at, (time.perf_counter(), time.process_time())
        return {"seconds": round(self.at[0] - before[0], 3), "cpu_seconds": round(self.at[1] - before[1], 3)}


class MadeExamples(ExampleTable):
    """Two examples of each instruction, made when they are asked for."""

    def __init__(self, task: int, instructions: int) -> None:
        self.task, self.instructions = task, instructions
        self._counts = {f"Task {task} asks for thing number {k}.": 2 for k in range(instructions)}

    def __len__(self) -> int:
        return 2 * self.instructions

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return self.at(range(len(self))[position])
        text = f"Task {self.task} asks for thing number {position // 2}."
        return Example(text, f"input {position}", ("answer",), f"task{self.task}")

    @property
    def instruction_counts(self) -> dict[str, int]:
        return self._counts

    @property
    def instruction_index(self) -> np.ndarray:
        return np.arange(len(self)) // 2

    @property
    def ids(self) -> list[str]:
        return [example.id for example in self]

    def at(self, positions: Iterable[int]) -> list[Example]:
        return [self[position] for position in positions]


class FileEmbedder:
    """Vectors of made instructions from a file, as a cache of embeddings would give them."""

    fingerprint = "file"

    def __init__(self, path: Path, instructions: int) -> None:
        self.path, self.instructions = path, instructions

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        words = [text.rstrip(".").split() for text in texts]
        wanted = [int(one[1]) * self.instructions + int(one[-1]) for one in words]
        rows = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        with self.path.open("rb") as file:
            for row, place in zip(rows, wanted, strict=True):
                file.seek(place * 4 * DIMENSIONS)
                row[:] = np.frombuffer(file.read(4 * DIMENSIONS), dtype=np.float32)
        return rows


def clouds(count: int, instructions: int) -> Iterator[np.ndarray]:
    """Vectors of tasks: some of 200 topics that tasks share, with noise around them; shape (instructions, d) each."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=DIMENSIONS) + rng.normal(size=(200, DIMENSIONS))
    for _ in range(count):
        own = rng.choice(200, int(rng.integers(3, 40)), replace=False)
        around = topics[rng.choice(own, instructions)]
        yield (around + rng.uniform(0.2, 0.9) * rng.normal(size=around.shape)).astype(np.float32)


class TagEmbedder:
    """Tags of one group of synonyms around one direction."""

    fingerprint = "made"

    def __init__(self, names: Sequence[str]) -> None:
        self._numbers = {normalise_tag(name): number for number, name in enumerate(names)}
        rng = np.random.default_rng(2)
        rows = np.repeat(rng.normal(size=(TAGS // SYNONYMS, DIMENSIONS)), SYNONYMS, axis=0)
        self._rows = (rows + 0.2 * rng.normal(size=rows.shape)).astype(np.float32)

    def __call__(self, tags: Sequence[str]) -> np.ndarray:
        return self._rows[[self._numbers[tag] for tag in tags]]


def tag_names() -> list[str]:
    """Names without numbers, which normalising would take away."""
    names = []
    for number in range(TAGS):
        digits = []
        while number or not digits:
            number, digit = divmod(number, 26)
            digits.append(chr(97 + digit))
        names.append("tag " + "".join(digits))
    return names


def plans(count: int, instructions: int) -> dict[str, Any]:
    """The plan for a new task after `count`, and for one more after that."""
    rng, names = np.random.default_rng(0), tag_names()
    tasks = [Task(f"task{t}", MadeExamples(t, instructions)) for t in range(count + 2)]
    # Few tags are on many instructions, as in real ones.
    drawn = (TAGS * rng.random((count + 2, instructions, TAGS_EACH)) ** 4).astype(np.int64)
    tags: Mapping[str, tuple[str, ...]] = {
        text: tuple(names[tag] for tag in own)
        for task, rows in zip(tasks, drawn, strict=True)
        for text, own in zip(task.instruction_counts, rows, strict=True)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors"
        with path.open("wb") as file:
            for rows in clouds(count + 2, instructions):
                file.write(rows.tobytes())
        embedder, tag_vectors = FileEmbedder(path, instructions), TagEmbedder(names)
        before, budget = _peak(), Budget(total=BUDGET)
        strategy = InsCL(embedder, tag_embedder=tag_vectors)
        clock = Clock()
        first = strategy.plan(Memory(tuple(tasks[:count]), {}, tags), tasks[count], budget, np.random.default_rng(0))
        found = {"before_megabytes": before, "first": clock()}
        made: dict[str, Any] = {"summaries": strategy.summaries, "tagged": strategy.tagged}
        memory = Memory(tuple(tasks[: count + 1]), {}, tags, neighbours=strategy.neighbours, **made)
        clock()
        then = strategy.plan(memory, tasks[count + 1], budget, np.random.default_rng(0))
        found |= {"next": clock(), "peak_megabytes": _peak()}
        for task in tasks:  # what tasks know of themselves, a new process doesn't
            vars(task).pop("instruction_digest", None)
            vars(task).pop("instruction_index", None)
        again = InsCL(embedder, tag_embedder=tag_vectors)
        reopened = again.plan(memory, tasks[count + 1], budget, np.random.default_rng(0))
        found |= {"reopened": clock()}
    if then.to_json() != reopened.to_json():
        raise SystemExit("a plan depends on what was planned before")
    widths = [share.reason.get("distance_bounds", (0, 0)) for share in first.shares]
    distances = [share.reason["distance"] for share in first.shares]
    return found | {
        "summary_size": then.parameters.get("summary_size"),
        "mean_distance": round(float(np.mean(distances)), 4),
        "mean_width_of_bounds": round(float(np.mean([high - low for low, high in widths])), 4),
        "picks": len(first.picks),
    }


def exact(count: int, instructions: int) -> dict[str, Any]:
    """Exact distances of `count` tasks to one more, two ways."""
    import ot
    from scipy.spatial.distance import cdist

    from inscl.transport import distances

    *earlier, new = clouds(count + 1, instructions)
    distances(1, lambda k: (new, None), (new, None))
    clock = Clock()
    ours = distances(count, lambda k: (earlier[k], None), (new, None))
    found: dict[str, Any] = {"ours": clock()}
    theirs = []
    for one in earlier:
        costs = cdist(one.astype(np.float64), new.astype(np.float64), "cosine")
        weights = [np.full(len(rows), 1 / len(rows)) for rows in (one, new)]
        theirs.append(float(ot.emd2(*weights, costs, numItermax=1_000_000)))
    found |= {"plain_loop": clock(), "largest_difference": float(np.abs(ours - theirs).max())}
    return found


def opening(count: int, instructions: int) -> dict[str, Any]:
    """Vectors and tags of `count` tasks in a memory on disk."""
    from inscl.storage.memory.store import MemoryStore

    tasks = [Task(f"task{t}", MadeExamples(t, instructions)) for t in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        store = MemoryStore(folder)
        vectors = {
            text: row
            for task, rows in zip(tasks, clouds(count, instructions), strict=True)
            for text, row in zip(task.instruction_counts, rows, strict=True)
        }
        clock = Clock()
        store.learn_facts(vectors, dict.fromkeys(vectors, ("one tag", "another", "a third", "a fourth", "a fifth")))
        found: dict[str, Any] = {"instructions": len(vectors), "write": clock()}
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        clock()
        memory = MemoryStore(folder).memory(tasks)
        found |= {"open": clock(), "megabytes_on_disk": round(size / 1e6, 1)}
        if len(known_of(memory.vectors, tasks[-1].instructions)) != instructions:
            raise SystemExit("vectors are missing")
        found |= {"one_task": clock()}
        if len(memory.vectors) != len(vectors):
            raise SystemExit("vectors are missing")
        found |= {"everything": clock(), "peak_megabytes": _peak()}
    return found


def stored(count: int, instructions: int) -> dict[str, Any]:
    """The plan for a new task, from a memory of `count` tasks on disk, in a new process."""
    from inscl.contract.made import MadeOfTasks
    from inscl.storage.memory.store import MemoryStore

    with tempfile.TemporaryDirectory() as folder:
        store, clock = MemoryStore(Path(folder) / "memory"), Clock()
        for t in range(count):
            rows = MadeExamples(t, instructions)
            store.add(str(t), Task(f"task{t}", tuple(rows.at(range(len(rows))))), {}, {})
        found: dict[str, Any] = {"tasks": count, "add": clock()}
        strategy = _from_files(Path(folder), count, instructions)
        memory = store.memory(map(store.task, store.keys()))
        new = Task(f"task{count}", MadeExamples(count, instructions))
        strategy.plan(memory, new, Budget(total=BUDGET), np.random.default_rng(0))
        found |= {"first": clock()}
        made = MadeOfTasks(strategy.summaries, strategy.tagged, strategy.neighbours)
        store.keep_made(made, {f"task{t}": str(t) for t in range(count)})
        size = sum(path.stat().st_size for path in Path(folder, "memory").rglob("*") if path.is_file())
        found |= {"keep": clock(), "megabytes_on_disk": round(size / 1e6, 1)}
        command = [
            sys.executable,
            __file__,
            "--instructions",
            str(instructions),
            "--part",
            f"reader:{count}",
            "--folder",
            folder,
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return found | json.loads(done.stdout.splitlines()[-1])


def reader(count: int, folder: Path, instructions: int) -> dict[str, Any]:
    """What a new process does."""
    from inscl.storage.memory.store import MemoryStore

    strategy, clock = _from_files(folder, count, instructions), Clock()
    store = MemoryStore(folder / "memory")
    memory = store.memory(map(store.task, store.keys()))
    found: dict[str, Any] = {"before_megabytes": _peak(), "open": clock()}
    new = Task(f"task{count}", MadeExamples(count, instructions))
    plan = strategy.plan(memory, new, Budget(total=BUDGET), np.random.default_rng(0))
    return found | {"plan": clock(), "peak_megabytes": _peak(), "picks": len(plan.picks)}


def _from_files(folder: Path, count: int, instructions: int) -> InsCL:
    """A strategy whose vectors come from a file in the folder, and whose tags are made from the text."""
    path = folder / "vectors"
    if not path.exists():
        with path.open("wb") as file:
            for rows in clouds(count + 1, instructions):
                file.write(rows.tobytes())
    names = tag_names()
    embedder, tag_embedder = FileEmbedder(path, instructions), TagEmbedder(names)

    def tagger(texts: Sequence[str]) -> list[list[str]]:
        return [[names[int(TAGS * one**4)] for one in _chance(text).random(TAGS_EACH)] for text in texts]

    return InsCL(embedder, tagger, tag_embedder)


def _chance(text: str) -> np.random.Generator:
    return np.random.default_rng(list(text.encode()))


def of_made(count: int, instructions: int) -> list[tuple[Task, dict[str, np.ndarray]]]:
    """Tasks of half to one and a half times as many instructions, with their vectors."""
    rng = np.random.default_rng(1)
    tasks = []
    for t, rows in enumerate(clouds(count + 1, instructions * 3 // 2)):
        size = int(rng.integers(instructions // 2, instructions * 3 // 2 + 1))
        task = Task(f"task{t}", MadeExamples(t, size))
        tasks.append((task, dict(zip(task.instruction_counts, rows[:size], strict=True))))
    return tasks


def of_superni(folder: Path, embedder: str) -> list[tuple[Task, dict[str, np.ndarray]]]:
    """The train splits of a stream."""
    import pyarrow.parquet as pq

    from inscl.embedding.cached import embedder_of

    embed, tasks = embedder_of(embedder), []
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path, columns=["split", "instruction"]).to_pylist()
        train = [row["instruction"] for row in rows if row["split"] == "train"]
        task = Task(path.stem, tuple(Example(text, str(k), ("",)) for k, text in enumerate(train)))
        tasks.append((task, dict(zip(task.instructions, embed(task.instructions), strict=True))))
    return tasks


def accuracy(
    stream: Sequence[tuple[Task, Mapping[str, np.ndarray]]], sizes: Sequence[int], every_stage: bool
) -> dict[str, Any]:
    """How far allocations from summaries are from exact ones, by the points of a summary."""
    tasks = [task for task, _ in stream]
    vectors = {text: row for _, own in stream for text, row in own.items()}
    found: dict[str, Any] = {"tasks": len(tasks), "budget": BUDGET}
    stages = range(2, len(tasks)) if every_stage else [len(tasks) - 1]
    exactly = {n: InsCL(summarise="never").between.measure(Memory(tuple(tasks[:n]), vectors), tasks[n]) for n in stages}
    for size in sizes:
        strategy, moved, most, outside, off, wide = InsCL(summarise="always", summary_size=size), [], [], 0, [], []
        for n in stages:
            measured, values = strategy.between.measure(Memory(tuple(tasks[:n]), vectors), tasks[n]), exactly[n].values
            apart = np.abs(allocate(measured.values, BUDGET) - allocate(values, BUDGET))
            moved.append(float(apart.sum()) / 2 / BUDGET)
            most.append(float(apart.max()) / BUDGET)
            off.append(float(np.abs(measured.values / values - 1).max()))
            for value, reason in zip(values, measured.reasons, strict=True):
                low, high = reason["distance_bounds"]
                outside += not low - 1e-6 <= value <= high + 1e-6
                wide.append((high - low) / value)
        found[f"{size} points"] = {
            "largest_part_of_budget_moved": round(max(moved), 5),
            "mean_part_of_budget_moved": round(float(np.mean(moved)), 5),
            "largest_change_of_one_task": round(max(most), 5),
            "largest_relative_error_of_a_distance": round(max(off), 4),
            "mean_relative_width_of_bounds": round(float(np.mean(wide)), 3),
            "outside": outside,
        }
    return found


def tagged(count: int, superni: Path | None) -> dict[str, Any]:
    """Instructions tagged a second."""
    from inscl.tagging import keyphrases

    texts = [f"Classify the sentiment of a review as one of {k} labels." for k in range(700)]
    if superni:
        import pyarrow.parquet as pq

        files = [pq.read_table(path, columns=["instruction"])["instruction"] for path in superni.glob("*.parquet")]
        texts = sorted({text for column in files for text in column.to_pylist()})
    many = [f"{text} This is variant {k // len(texts)}." for k, text in enumerate(texts * (count // len(texts) + 1))]
    tagger, alone = keyphrases.KeyphraseTagger(), min(2_000, count)
    tagger(many[:50])
    clock = Clock()
    tagger(many[:alone])
    one = clock()
    tagger(many[: max(count // 10, keyphrases._WORTH_PROCESSES)])  # begins the processes
    clock()
    tagger(many[:count])
    both = clock()
    return {
        "mean_characters": round(float(np.mean([len(text) for text in texts])), 1),
        "a_second_on_one_core": round(alone / one["seconds"]),
        "a_second_of_one_core_s_time": round(alone / one["cpu_seconds"]),
        "a_second_on_all_cores": round(count / both["seconds"]),
    }


def _peak() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1000, 1)
    return float("nan")


if __name__ == "__main__":
    warnings.simplefilter("default")
    main()
