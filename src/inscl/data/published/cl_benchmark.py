"""From the folder ``CL_Benchmark`` of O-LoRA or SAPT to a stream of 15 or 30 tasks.

Both repositories hold their data, as ``CL_Benchmark/<family>/<data set>/{train,dev,test}.json``, in two forms:

- O-LoRA (Wang et al., EMNLP Findings 2023; ``cmnfriend/O-LoRA``, ``src/uie_dataset_lora.py``): a list of
  ``{"sentence", "label"}``, with ``labels.json`` beside it. The instruction is the family's in
  ``configs/instruction_config.json``, then ``Option:`` and the labels.
- SAPT (Zhao et al., ACL 2024; ``circle-hit/SAPT``, ``src/cl_dataset.py``): an object with ``Definition``, a list, and
  ``Instances`` of ``{"input", "output"}``. The instruction is the first definition.

What both loaders put around the input (``Answer:``, ``Input:``, ``Output:``) is left to the learner's prompt form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.data.published.benchmark_json import read_json, text_of, texts_of
from inscl.data.published.benchmark_rows import BenchmarkRows
from inscl.data.quoting import excerpt
from inscl.errors import DataError

__all__ = ["TASK_NAMES", "convert_cl_benchmark", "task_name"]

# Folder, in lower case -> the task's name in `inscl.data.ORDERS`. The repositories spell them differently.
TASK_NAMES = {
    "yelp": "yelp",
    "amazon": "amazon",
    "mnli": "MNLI",
    "cb": "CB",
    "copa": "COPA",
    "qqp": "QQP",
    "rte": "RTE",
    "imdb": "IMDB",
    "sst-2": "SST-2",
    "sst2": "SST-2",
    "dbpedia": "dbpedia",
    "agnews": "agnews",
    "yahoo": "yahoo",
    "multirc": "MultiRC",
    "boolq": "BoolQ",
    "boolqa": "BoolQ",
    "wic": "WiC",
}
SUPERNI = re.compile(r"task(\d{3,4})_.+")
FILES = {"train.json": "train", "dev.json": "validation", "test.json": "test"}
# COPA has no instruction in either repository. This is the sentence that O-LoRA's other instructions end with.
CHOOSE = "Choose one from the option."


def convert_cl_benchmark(checkout: Path, out: Path) -> BenchmarkRows:
    """Write one Parquet file a data set: ``load_stream(out, order="fifteen_a")`` reads them.

    Columns: ``split`` (``dev`` is called validation), ``task``, ``source_task`` (the folder), ``instruction``,
    ``input``, ``output`` (a list), ``license`` (where the data says it). Rows without an answer and train rows that
    stand in a test split too are left out and counted; answers that are none of a data set's labels are kept, and
    counted. COPA's rows hold their question themselves; before them goes "Choose one from the option." and the labels,
    which is reconstructed, since without an instruction there is nothing to embed.

    Args:
        checkout: A checkout of one of the repositories, or its folder ``CL_Benchmark``.
        out: Folder to write into; made if missing.

    Returns:
        How many rows came out, and what was left out and why.

    Raises:
        DataError: There is no such folder, a file is missing or damaged, two folders are one task, or `out` holds
            other data.
        WorkspaceError: `out` can't be written.
    """
    root = checkout / "CL_Benchmark" if (checkout / "CL_Benchmark").is_dir() else checkout
    folders = sorted({path.parent for name in FILES for path in root.glob(f"*/*/{name}")})
    if not folders:
        raise DataError(
            "no CL_Benchmark/<family>/<data set>/train.json here; O-LoRA's or SAPT's was expected", checkout
        )
    rows = BenchmarkRows()
    rows.pass_over(root, {folder / name for folder in folders for name in (*FILES, "labels.json")})
    for folder in folders:
        rows.begin(task_name(folder.name), folder)
        for name, split in FILES.items():
            if split != "validation" or (folder / name).exists():
                _add_file(rows, folder / name, split, root.parent / "configs" / "instruction_config.json")
    rows.write(out)
    return rows


def task_name(folder: str) -> str:
    """What a data set's folder is called in `inscl.data.ORDERS`.

    Returns:
        The name in `TASK_NAMES`; the number of a task of natural-instructions (``task073_…`` is ``073``); else the
        folder's own name.
    """
    numbered = SUPERNI.fullmatch(folder)
    return numbered.group(1) if numbered else TASK_NAMES.get(folder.lower(), folder)


def _add_file(rows: BenchmarkRows, path: Path, split: str, instructions: Path) -> None:
    content = read_json(path)
    if isinstance(content, list):
        _add_labelled(rows, path, split, content, instructions)
    elif isinstance(content, dict) and isinstance(content.get("Instances"), list) and "Definition" in content:
        _add_instances(rows, path, split, content)
    else:
        raise DataError("a list of {sentence, label}, or an object with Definition and Instances, was expected", path)


def _add_labelled(rows: BenchmarkRows, path: Path, split: str, content: list[Any], instructions: Path) -> None:
    """O-LoRA's form."""
    labels, task = _labels(path.parent), task_name(path.parent.name)
    instruction = _options(labels)
    if task != "COPA":
        family = path.parent.parent.name
        instruction = f"{_instruction_of(family, instructions)}\nOption: {', '.join(labels)}"
    foreign = []
    for number, row in enumerate(content, start=1):
        given, label = text_of(row, "sentence", path, number), text_of(row, "label", path, number)
        foreign += [label] if label not in labels else []
        rows.add(split, Example(instruction, given, (label,), task, path.parent.name))
    if foreign:
        shown = ", ".join(excerpt(label, 20) for label in sorted(set(foreign))[:3])
        rows.notes.append(f"kept: {len(foreign)} {split} rows of {task} whose answer is none of its labels ({shown})")


def _instruction_of(family: str, path: Path) -> str:
    """The first zero-shot instruction of a family, as with O-LoRA's ``instruction_strategy single``."""
    content = read_json(path)
    entries = content.get(family) if isinstance(content, dict) else None
    for number, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        if text_of(entry, "instruction_type", path, number) == "zero-shot":
            return text_of(entry, "instruction", path, number).strip()
    raise DataError(f"a list with a zero-shot instruction was expected under {family!r}", path)


def _add_instances(rows: BenchmarkRows, path: Path, split: str, content: dict[str, Any]) -> None:
    """SAPT's form."""
    task = task_name(path.parent.name)
    # An empty list of definitions is COPA's; its loader puts nothing before the input either.
    definition = next((text.strip() for text in texts_of(content, "Definition", path)), "")
    instruction = definition or _options(_labels(path.parent))
    license_ = ", ".join(texts_of(content, "Instance License", path)) if "Instance License" in content else "Unknown"
    for number, row in enumerate(content["Instances"], start=1):
        given, outputs = text_of(row, "input", path, number), texts_of(row, "output", path, number)
        rows.add(split, Example(instruction, given, outputs, task, path.parent.name), license_)


def _options(labels: list[str]) -> str:
    return f"{CHOOSE}\nOption: {', '.join(labels)}"


def _labels(folder: Path) -> list[str]:
    content = read_json(folder / "labels.json")
    if not content or not isinstance(content, list) or not all(isinstance(label, str) for label in content):
        raise DataError("a list of labels, texts, was expected", folder / "labels.json")
    return content
