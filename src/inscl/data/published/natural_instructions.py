"""From a checkout of natural-instructions (Wang et al., EMNLP 2022; Apache-2.0) to InsCL's stream of 16 tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.data.contents import content_of
from inscl.data.published.superni_categories import CATEGORIES, categorize
from inscl.data.published.superni_tasks import SourceTask, read_source_task
from inscl.data.splits import sample, split_by_content
from inscl.data.writing import write_bytes
from inscl.errors import DataError

__all__ = ["Conversion", "convert"]


@dataclass
class Conversion:
    """What came out of a conversion.

    Attributes:
        source_tasks: Task -> how many source tasks went into it.
        rows: Task -> how many rows it has, train and test together.
        left_out: Source task -> why it is not in the stream.
        repeated: Instances passed over because an earlier one says the same.
        unfit: Why instances of the tasks that count were passed over otherwise -> how many.
    """

    source_tasks: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    unfit: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """What to tell the user, a line each."""
        lines = [f"{name:24}{self.source_tasks[name]:5} source tasks{self.rows[name]:9} rows" for name in self.rows]
        lines.append(f"{'in all':24}{self.source_tasks.total():5} source tasks{self.rows.total():9} rows")
        lines += [f"left out: {count} source tasks, {why}" for why, count in Counter(self._reasons()).most_common()]
        if self.repeated:
            lines.append(f"passed over: {self.repeated} instances that repeat an earlier one")
        lines += [f"passed over: {count} instances {why}" for why, count in self.unfit.most_common()]
        return lines

    def _reasons(self) -> list[str]:
        return [reason.split(" (")[0] for reason in self.left_out.values()]


@dataclass(frozen=True)
class _Limits:
    train: int | None
    test: int | None
    test_share: float
    prompt: int
    answer: int
    seed: int


def convert(
    checkout: Path,
    out: Path,
    *,
    per_source_train: int | None = 96,
    per_source_test: int | None = 24,
    test_share: float = 0.2,
    longest_prompt: int = 1800,
    longest_answer: int = 400,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Write one Parquet file for each of the 16 tasks: ``load_stream(out, order="curriculum")`` reads them.

    English-to-English source tasks are taken, Translation is not. Columns: ``split``, ``task``, ``source_task``,
    ``instruction`` (the definition), ``input``, ``output`` (a list: every reference), ``license`` (of the source
    task's data; many are for research only). An instance that says the same as an earlier one, of whichever source
    task, is passed over, so no test example stands in train.

    Args:
        checkout: The checkout; its folder ``tasks`` holds ``task001_….json`` and so on.
        out: Folder to write into; made if missing.
        per_source_train: Train instances a source task, a seeded sample; None takes all.
        per_source_test: Test instances a source task. Where either is None, `test_share` of a source task's
            instances are for testing, by content hash. A source task with fewer than both together is left out.
        test_share: See `per_source_test`.
        longest_prompt: Characters of definition and input; longer instances are left out.
        longest_answer: Characters of the longest reference; likewise.
        seed: Chooses the samples.
        on_progress: Called with how many source tasks are read, and of how many.

    Returns:
        What came out, and what was left out and why.

    Raises:
        DataError: `checkout` is no checkout, one of its files is damaged, nothing could be used, or `out` holds other
            data, which would become part of the stream.
        WorkspaceError: `out` can't be written.
    """
    paths = _source_files(checkout, out)
    limits = _Limits(per_source_train, per_source_test, test_share, longest_prompt, longest_answer, seed)
    conversion, seen = Conversion(), set[str]()
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, path in enumerate(paths, start=1):
        source = read_source_task(path)
        task = _task_of(source, conversion)
        train, test = _select(source, task, limits, seen, conversion) if task else ([], [])
        if task and train:
            rows[task] += [_row("train", example, source.license) for example in train]
            rows[task] += [_row("test", example, source.license) for example in test]
            conversion.source_tasks[task] += 1
        if on_progress is not None:
            on_progress(number, len(paths))
    if not rows:
        first = next(iter(conversion.left_out.items()), ("", ""))
        raise DataError(f"none of its {len(paths)} tasks can be used; {first[0]}, for one: {first[1]}", checkout)
    for task in (name for name in CATEGORIES if name in rows):
        conversion.rows[task] = len(rows[task])
        write_bytes(out / f"{task}.parquet", _parquet(rows[task]))
    return conversion


def _source_files(checkout: Path, out: Path) -> list[Path]:
    """The files of the source tasks; that `out` holds nothing else is checked before the first is read."""
    paths = sorted((checkout / "tasks").glob("task*.json"))
    if not paths:
        raise DataError("no tasks/task*.json here; a checkout of allenai/natural-instructions was expected", checkout)
    foreign = sorted(path.name for path in out.glob("[!.]*") if path.stem not in CATEGORIES)
    if foreign:
        raise DataError(f"this folder holds other files ({', '.join(foreign[:5])}); give an empty one", out)
    return paths


def _task_of(source: SourceTask, conversion: Conversion) -> str | None:
    """The task that a source task belongs to; None, and the reason written down, where it belongs to none."""
    if source.languages != {"English"}:
        conversion.left_out[source.name] = f"not English to English ({', '.join(sorted(source.languages))})"
        return None
    inputs = [given for given, _ in source.instances]
    task = categorize(source.name, source.category, source.definition, inputs)
    if task is None:
        conversion.left_out[source.name] = f"of none of the paper's categories ({source.category})"
    return task


def _select(
    source: SourceTask, task: str, limits: _Limits, seen: set[str], conversion: Conversion
) -> tuple[list[Example], list[Example]]:
    """Train and test examples of a source task; neither where it has too few."""
    usable: dict[str, Example] = {}
    for given, references in source.instances:
        example = Example(source.definition, given, _answers(references), task, source.name)
        if problem := _problem(example, limits):
            conversion.unfit[problem] += 1
            continue
        content = content_of(example)
        conversion.repeated += content in seen or content in usable
        if content not in seen:
            usable.setdefault(content, example)
    train, test = _divide(list(usable), limits)
    if not train or not test:
        count = f"{len(usable)} of {len(source.instances)}"
        conversion.left_out[source.name] = f"too few different instances that are short enough ({count})"
        return [], []
    seen.update(train, test)
    return [usable[content] for content in train], [usable[content] for content in test]


def _answers(references: Sequence[str]) -> tuple[str, ...]:
    """References that say something; all of them where none does."""
    return tuple(reference for reference in references if reference.strip()) or tuple(references)


def _problem(example: Example, limits: _Limits) -> str:
    """Why an instance is of no use; empty where it is."""
    if len(example.prompt) > limits.prompt:
        return f"whose prompt is longer than {limits.prompt} characters"
    if len(max(example.outputs, key=len)) > limits.answer:
        return f"whose answer is longer than {limits.answer} characters"
    return "" if example.output.strip() else "without an answer"


def _divide(contents: Sequence[str], limits: _Limits) -> tuple[list[str], list[str]]:
    if limits.train is None or limits.test is None:
        held_out = split_by_content(contents, limits.test_share)
        train = [content for content, out in zip(contents, held_out, strict=True) if not out]
        test = [content for content, out in zip(contents, held_out, strict=True) if out]
        return _take(train, limits.train, limits.seed), _take(test, limits.test, limits.seed)
    if len(contents) < limits.train + limits.test:
        return [], []
    test = _take(contents, limits.test, limits.seed)
    held_out_contents = set(test)
    rest = [content for content in contents if content not in held_out_contents]
    return _take(rest, limits.train, limits.seed), test


def _take(contents: Sequence[str], count: int | None, seed: int) -> list[str]:
    return sample(contents, count, seed, content=str, source=lambda _: "")


def _row(split: str, example: Example, license_: str) -> dict[str, Any]:
    return {
        "split": split,
        "task": example.task,
        "source_task": example.source,
        "instruction": example.instruction,
        "input": example.input,
        "output": list(example.outputs),
        "license": license_,
    }


def _parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet

    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist(list(rows)), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content
