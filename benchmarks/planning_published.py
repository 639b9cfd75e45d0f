"""The plans of a stream of 16 tasks: this package, the paper's equations in plain loops, and the authors' code.

    python benchmarks/planning_published.py FOLDER --published InsCL/replay --out planning_published.json

All three get the same vectors of instructions, the same tags and the same vectors of tags, made before the clock
starts, and plan stages 2 to 16 with 200 examples for each earlier task. They run one after another in one process, each
`--repeat` times, this package at least three times; the fastest counts, in processor seconds of all threads and
seconds of the wall. The first try of this package also imports POT and SciPy; what the authors' code imports is there
before the clock starts.

On each side the clock covers the distances, the clusters of tags, InsInfo, allocation and the draw of examples. This
package's side also makes the whole plan, every pick with its reason and a table of all instructions with their tags,
and normalises the tags once more; the authors' side counts tags anew at each stage, as its files do.

`plain` is written here from sections 3.2 and 3.3 and Algorithm 1 of the paper with NumPy, POT and scikit-learn: each
stage computes all distances, clusters all tags and counts all instructions anew.

--published names the folder `replay` of a checkout of https://github.com/OPPO-Mente-Lab/InsCL, which isn't part of this
project. Its files are taken as they are and its functions called in the order of its `InsCL`, which itself can't be
called: it passes too few arguments to `cal_dynamic_num`. What it lacks to start is given to it at run time: names that
it uses without importing them, what it reads from pickles, no more examples of an instruction than there are, and, so
that its tags are those of the others, their normalisation and vectors. Reading data, embedding tags and writing files
isn't timed.

FOLDER holds one Parquet file a task, as `inscl data superni` writes them. Without it the stream is made from seed 0: 16
tasks, vectors of 384 numbers around a few of 200 topics, and five tags an instruction out of groups of eight synonyms.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import math
import os
import random
import re
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.embedding.cached import embedder_of
from inscl.replay.inscl import InsCL
from inscl.storage.files.atomic import write_text
from inscl.storage.files.provenance import hardware, now, packages
from inscl.tagging.keyphrases import KeyphraseTagger
from inscl.tagging.merging import normalised

EPS, MIN_SAMPLES = 0.1, 5
Allocations = list[list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a stream of Parquet files; without one, a made stream")
    parser.add_argument("--made", type=int, default=200, help="instructions of a made task, five rows each")
    parser.add_argument("--published", type=Path, help="the folder `replay` of the authors' code")
    parser.add_argument("--embedder", default="minilm", help="of instructions and tags")
    parser.add_argument("--per-task", type=int, default=200, help="examples for each earlier task")
    parser.add_argument("--rows", type=int, default=2000, help="most train examples of a task")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.folder is None:
        given = made(options.made, options.per_task)
    else:
        given = read(options.folder, options.embedder, options.per_task, options.rows)
    ways: dict[str, Callable[[Given], Allocations]] = {"ours": ours, "plain": plain}
    if options.published:
        ways["published"] = authors(options.published, given)
    # This package's first try imports libraries that the others find there.
    tries = {name: max(3, options.repeat) if name == "ours" else options.repeat for name in ways}
    found: dict[str, Any] = {name: timed(way, given, tries[name]) for name, way in ways.items()}
    exact = found["ours"].pop("allocations")
    for name in list(found)[1:]:
        theirs = found[name].pop("allocations")
        apart = [abs(a - b) for one, other in zip(exact, theirs, strict=True) for a, b in zip(one, other, strict=True)]
        found[name] |= {
            "times_ours_cpu": round(found[name]["cpu_seconds"] / found["ours"]["cpu_seconds"], 1),
            "times_ours_wall": round(found[name]["seconds"] / found["ours"]["seconds"], 1),
            "largest_difference_of_an_allocation": max(apart),
            "part_of_the_budget_moved": round(sum(apart) / 2 / sum(map(sum, exact)), 5),
        }
    record = {
        "schema": 1,
        "date": now(),
        "load_average": round(os.getloadavg()[0], 1),
        "configuration": {
            "tasks": len(given.tasks),
            "instructions": sum(task.distinct for task in given.tasks),
            "rows": sum(len(task.train) for task in given.tasks),
            "tags": len(given.tag_vectors),
            "stream": "made" if options.folder is None else options.folder.name,
            "embedder": None if options.folder is None else options.embedder,
            "per_task": options.per_task,
            "seed": 0,
        },
        "hardware": hardware(),
        "packages": packages(),
        "ways": found,
    }
    print(json.dumps(record["configuration"]), json.dumps(found, indent=1), sep="\n")
    if options.out:
        write_text(options.out, json.dumps(record, indent=1) + "\n")


@dataclass(frozen=True)
class Given:
    """What all ways start from.

    Attributes:
        per_task: Budget.
        tasks: The stream.
        vectors: Of each instruction.
        tags: Of each instruction, normalised.
        tag_vectors: Of each tag.
    """

    per_task: int
    tasks: Sequence[Task]
    vectors: Mapping[str, np.ndarray]
    tags: Mapping[str, tuple[str, ...]]
    tag_vectors: Mapping[str, np.ndarray]

    def embed_tags(self, tags: Sequence[str]) -> np.ndarray:
        """Vectors of tags, looked up."""
        return np.stack([self.tag_vectors[tag] for tag in tags])


def read(folder: Path, embedder: str, per_task: int, rows: int) -> Given:
    """The train splits of a stream, of each task as many rows as are asked for."""
    import pyarrow.parquet as pq

    tasks = []
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["split", "instruction"]).to_pylist()
        train = [row["instruction"] for row in table if row["split"] == "train"][:rows]
        tasks.append(Task(path.stem, tuple(Example(text, str(k), ("",)) for k, text in enumerate(train))))
    texts = list(dict.fromkeys(text for task in tasks for text in task.instructions))
    embed = embedder_of(embedder)
    tags = {text: normalised(own) for text, own in zip(texts, KeyphraseTagger()(texts), strict=True)}
    names = sorted({tag for own in tags.values() for tag in own})
    vectors, tag_vectors = dict(zip(texts, embed(texts), strict=True)), dict(zip(names, embed(names), strict=True))
    return Given(per_task, tasks, vectors, tags, tag_vectors)


def made(instructions: int, per_task: int) -> Given:
    """Sixteen tasks of as many instructions each."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=384) + rng.normal(size=(200, 384))
    groups = rng.normal(size=(2 * instructions, 384))
    names = [f"zq{chr(97 + k // 676)}{chr(97 + k // 26 % 26)}{chr(97 + k % 26)}zq" for k in range(8 * len(groups))]
    tag_vectors = {name: groups[k // 8] + 0.2 * rng.normal(size=384) for k, name in enumerate(names)}
    tasks, vectors, tags = [], {}, {}
    for t in range(16):
        near = topics[rng.choice(rng.choice(200, 20, replace=False), instructions)]
        texts = [f"Task {t} asks for thing number {k}." for k in range(instructions)]
        vectors |= dict(zip(texts, near + 0.5 * rng.normal(size=near.shape), strict=True))
        drawn = (len(names) * rng.random((instructions, 5)) ** 4).astype(int)
        tags |= {x: tuple(dict.fromkeys(names[k] for k in own)) for x, own in zip(texts, drawn, strict=True)}
        rows = (Example(text, str(n), ("",)) for text in texts for n in range(5))
        tasks.append(Task(f"task{t:02d}", tuple(rows)))
    return Given(per_task, tasks, vectors, tags, tag_vectors)


def timed(way: Callable[[Given], Allocations], given: Given, repeat: int) -> dict[str, Any]:
    """The fastest of some tries, what the first took, which imports libraries, and the allocations of all stages."""
    found: dict[str, Any] = {}
    first = 0.0
    for _ in range(repeat):
        wall, processor = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            allocations = way(given)
        one = {
            "seconds": round(time.perf_counter() - wall, 3),
            "cpu_seconds": round(time.process_time() - processor, 3),
        }
        first = first or one["cpu_seconds"]
        found = one if not found or one["cpu_seconds"] < found["cpu_seconds"] else found
        found["allocations"] = allocations
    return {**found, "first_cpu_seconds": first}


def ours(given: Given) -> Allocations:
    """A new strategy that goes through the stream, as a run does."""
    strategy = InsCL(tag_embedder=given.embed_tags, merge_eps=EPS, merge_min_samples=MIN_SAMPLES)
    found = []
    for stage in range(1, len(given.tasks)):
        memory = Memory(tuple(given.tasks[:stage]), given.vectors, given.tags)
        plan = strategy.plan(memory, given.tasks[stage], Budget(per_task=given.per_task), np.random.default_rng(stage))
        found.append(list(plan.allocation.values()))
    return found


def plain(given: Given) -> Allocations:
    """The paper's equations in loops."""
    import ot
    from sklearn.cluster import DBSCAN

    found = []
    for stage in range(1, len(given.tasks)):
        *earlier, new = given.tasks[: stage + 1]
        distances = []
        for task in earlier:
            (x, a), (y, b) = (_weighted(one, given.vectors) for one in (task, new))
            distances.append(float(ot.emd2(a, b, ot.dist(x, y, metric="cosine"), numItermax=1_000_000)))
        quotas = given.per_task * len(earlier) * np.array(distances) / sum(distances)
        counts = np.floor(quotas).astype(int)
        for j in np.argsort(counts - quotas, kind="stable")[: given.per_task * len(earlier) - counts.sum()]:
            counts[j] += 1
        tags = {text: list(given.tags[text]) for task in (*earlier, new) for text in task.instructions}
        carried = Counter(tag for own in tags.values() for tag in own)
        names = sorted(carried)
        labels = DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, metric="cosine").fit_predict(given.embed_tags(names))
        for label in range(labels.max() + 1):
            own = [name for name, one in zip(names, labels, strict=True) if one == label]
            best = max(own, key=lambda name: carried[name])
            tags = {text: [best if tag in own else tag for tag in said] for text, said in tags.items()}
        frequency = Counter(tag for own in tags.values() for tag in set(own))
        worth = {text: sum(math.log(len(tags) / frequency[tag]) for tag in set(own)) for text, own in tags.items()}
        rng = np.random.default_rng(stage)
        for task, count in zip(earlier, counts, strict=True):
            assert len(_sampled(task, worth, int(count), rng)) == count
        found.append(counts.tolist())
    return found


def _weighted(task: Task, vectors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    frequencies = np.array(list(task.instruction_counts.values()), dtype=np.float64)
    points = np.stack([vectors[text] for text in task.instruction_counts]).astype(np.float64)
    return points, frequencies / frequencies.sum()


def _sampled(task: Task, worth: Mapping[str, float], count: int, rng: np.random.Generator) -> list[Example]:
    """Algorithm 1 for one task."""
    ranked = sorted(task.instructions, key=lambda text: -worth[text])
    if count < len(ranked):
        return [_of(task, text, rng)[0] for text in ranked[:count]]
    total = sum(worth[text] for text in ranked)
    chosen: list[Example] = []
    for text in ranked:
        share = worth[text] / total if total else 1 / len(ranked)
        chosen += _of(task, text, rng)[: max(1, int(share * count))]
    unused = [example for example in task.train if example not in chosen]
    while len(chosen) < count:
        chosen.append(unused.pop(int(rng.integers(len(unused)))))
    while len(chosen) > count:
        carried = Counter(example.instruction for example in chosen)
        spare = [k for k, example in enumerate(chosen) if carried[example.instruction] > 1]
        del chosen[spare[int(rng.integers(len(spare)))]]
    return chosen


def _of(task: Task, text: str, rng: np.random.Generator) -> list[Example]:
    own = [example for example in task.train if example.instruction == text]
    return [own[k] for k in rng.permutation(len(own))]


def authors(folder: Path, given: Given) -> Callable[[Given], Allocations]:
    """The authors' functions, with what they lack to start."""
    for name in ("jsonlines", "sentence_transformers", "nltk", "nltk.corpus", "nltk.stem"):
        sys.modules.setdefault(name, types.ModuleType(name))
    lacking = {
        "sentence_transformers": ("SentenceTransformer",),
        "nltk": ("word_tokenize", "pos_tag"),
        "nltk.corpus": ("wordnet",),
        "nltk.stem": ("WordNetLemmatizer",),
    }
    stood = {name: sys.modules[name] for name in lacking}
    for name, wanted in lacking.items():
        sys.modules[name] = types.ModuleType(name)
        for one in wanted:
            setattr(sys.modules[name], one, None)
    sys.path.insert(0, str(folder.resolve()))
    try:
        tag_utils, sampling = (importlib.import_module(name) for name in ("tag_utils", "InsCL_sampling"))
    finally:
        sys.path.pop(0)
        sys.modules.update(stood)
    names = [task.name for task in given.tasks]
    vectors = {task.name: _weighted(task, given.vectors) for task in given.tasks}
    pickled: dict[str, Any] = {
        "vectors": {name: {"encoded": x, "distribution": a} for name, (x, a) in vectors.items()},
        **{
            f"{task.name}_tag.pkl": {
                task.name: [
                    {"instruction": text, "api_output": [{"tag": tag} for tag in given.tags[text]]}
                    for text in task.instructions
                ]
            }
            for task in given.tasks
        },
    }
    reading = types.SimpleNamespace(load=lambda file: pickled[Path(file.name).name])
    changes: list[tuple[Any, dict[str, Any]]] = [
        (
            tag_utils,
            {"re": re, "tqdm": iter, "pickle": reading, "norm_phrase": lambda phrase: " ".join(phrase.split())},
        ),
        (sampling, {"pickle": reading, "random": types.SimpleNamespace(shuffle=random.shuffle, sample=_at_most)}),
    ]
    for module, values in changes:
        vars(module).update(values)
    data = {
        task.name: [{"instruction": [one.instruction], "input": one.input} for one in task.train]
        for task in given.tasks
    }
    model = types.SimpleNamespace(encode=given.embed_tags)

    def way(given: Given) -> Allocations:
        with tempfile.TemporaryDirectory() as place, _inside(place):
            Path("tag_pkl").mkdir()
            for name in pickled:
                (Path(name) if name == "vectors" else Path("tag_pkl", name)).touch()
            initial, found = sampling.initial_replay_num(given.per_task, names), []
            for stage in range(1, len(names)):
                counts = sampling.cal_dynamic_num("vectors", stage, initial, names, "curriculum_pWdist")
                worth = tag_utils.get_InsInfo_dic(names, stage, model, EPS, MIN_SAMPLES)
                for name, count in zip(names, counts, strict=False):
                    sampling.sample_example(worth, name, list(data[name]), count)
                found.append([int(count) for count in counts])
            return found

    return way


def _at_most(population: list[Any], count: int) -> list[Any]:
    return random.sample(population, min(count, len(population)))


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    main()
