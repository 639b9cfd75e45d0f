"""From a checkout of CITB (Zhang et al., EMNLP Findings 2023; ``hyintell/CITB``) to its two streams.

The repository holds natural-instructions' task files in ``data/tasks`` and the lists of its streams in
``data/splits/CIT_splits``: ``cl_dialogue_tasks.txt`` (InstrDialog, 19) and ``cl_38_random_tasks.txt`` (InstrDialog++).
How instances are divided is read from ``continual_learning/utils.py``, ``train_dev_test_split_by_task``, how many are
taken from ``scripts/data_scripts/prepare_cl_dialogue_data.sh`` and ``prepare_cl_dialogue_long_data.sh``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inscl.contract import Example
from inscl.data.published.benchmark_rows import BenchmarkRows
from inscl.data.published.superni_tasks import read_source_task
from inscl.data.readers.rows import read_text
from inscl.data.splits import sample
from inscl.errors import ConfigError, DataError, nearest

__all__ = ["STREAMS", "CitbStream", "convert_citb"]


@dataclass(frozen=True)
class CitbStream:
    """One of the two streams.

    Attributes:
        listing: Its list of tasks, in ``data/splits/CIT_splits``.
        train: At most so many train instances a task.
        test: Test instances a task, and as many for validation.
    """

    listing: str
    train: int
    test: int


STREAMS = {
    "instrdialog": CitbStream("cl_dialogue_tasks.txt", 500, 50),
    "instrdialog++": CitbStream("cl_38_random_tasks.txt", 100, 25),
}


def convert_citb(
    checkout: Path, out: Path, *, stream: Literal["instrdialog", "instrdialog++"] | str = "instrdialog", seed: int = 0
) -> BenchmarkRows:
    """Write one Parquet file a task: ``load_stream(out, order="citb_instrdialog_1")`` reads them.

    A task's first instances are for testing, as many after them for validation, and of the rest a sample is for
    training, as in the repository; but its sample is drawn by a shuffle that can't be repeated from outside, this one
    by a seeded hash of what an instance says. The instruction is the definition alone, without the two examples that
    CITB shows beside it. Train rows that stand in a test split too are left out and counted.

    Args:
        checkout: A checkout of the repository.
        out: Folder to write into; made if missing.
        stream: ``instrdialog`` (19 tasks, 500/50/50 instances) or ``instrdialog++`` (38 tasks, 100/25/25).
        seed: Chooses the train samples.

    Returns:
        How many rows came out, and what was left out and why.

    Raises:
        ConfigError: There is no stream of that name.
        DataError: The list or a task of it is missing or damaged, a task has too few instances, or `out` holds other
            data.
        WorkspaceError: `out` can't be written.
    """
    if stream not in STREAMS:
        raise ConfigError(f"CITB has no stream {stream!r}{nearest(stream, list(STREAMS))}", "stream")
    sizes, rows = STREAMS[stream], BenchmarkRows()
    listing = checkout / "data" / "splits" / "CIT_splits" / sizes.listing
    names = [line.strip() for line in read_text(listing).split("\n") if line.strip()]
    missing = [name for name in names if not (checkout / "data" / "tasks" / f"{name}.json").is_file()]
    if missing or not names:
        shown = ", ".join(missing[:5]) or "it is empty"
        reason = f"{len(missing)} of its {len(names)} tasks are not in data/tasks: {shown}; a whole checkout of CITB"
        raise DataError(f"{reason} was expected", listing)
    for name in names:
        _add_task(rows, checkout / "data" / "tasks" / f"{name}.json", sizes, seed)
    rows.write(out)
    return rows


def _add_task(rows: BenchmarkRows, path: Path, sizes: CitbStream, seed: int) -> None:
    source = read_source_task(path)
    rows.begin(source.name, path)
    examples = [
        Example(source.definition, given, references, source.name, source.name)
        for given, references in source.instances
    ]
    if len(examples) <= 2 * sizes.test:
        raise DataError(f"{len(examples)} instances; more than {2 * sizes.test} were expected", path)
    test, validation = examples[: sizes.test], examples[sizes.test : 2 * sizes.test]
    rest = examples[2 * sizes.test :]
    train = sample(rest, sizes.train, seed, content=lambda e: e.id, source=lambda _: "")
    if len(train) < len(rest):
        rows.notes.append(f"not taken: {len(rest) - len(train)} of {source.name}'s {len(rest)} train instances")
    for split, part in (("train", train), ("validation", validation), ("test", test)):
        for example in part:
            rows.add(split, example, source.license)
