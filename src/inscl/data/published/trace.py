"""From TRACE's data (Wang et al., 2023, arXiv 2310.06762) to a stream of eight tasks.

The repository, ``BeyonderXX/TRACE``, holds no data; its README links an archive with one folder a data set, each with
``train.json``, ``eval.json`` and ``test.json``: lists of ``{"prompt", "answer"}``. That is what its loader reads
(``utils/data/raw_datasets.py``). A copy of the archive (``zjwang21/TRACE``) has three sizes, ``LLM-CL-Benchmark_500``,
``_1000`` and ``_5000`` (the paper's); one of them is the folder to give.
"""

from __future__ import annotations

from pathlib import Path

from inscl.contract import Example
from inscl.data.orders import ORDERS
from inscl.data.published.benchmark_json import read_json, text_of
from inscl.data.published.benchmark_rows import BenchmarkRows
from inscl.errors import DataError

__all__ = ["INSTRUCTIONS", "convert_trace"]

# The benchmark's own (``inference/ICL.py``, TASK_PROMT). Every prompt but Py150's begins with its task's.
INSTRUCTIONS = {
    "C-STANCE": "判断以下文本对指定对象的态度，选择一项：A.支持，B.反对，C.中立。输出A，B或者C。",
    "FOMC": "What is the monetary policy stance for the following text? A. dovish, B. hawkish, C. neutral. "
    "Choose one from A, B and C.",
    "MeetingBank": "Write a summary of the following meeting transcripts.",
    "Py150": "Continue writing the code.",
    "ScienceQA": "Choose an answer for the following question and give your reasons.",
    "NumGLUE-cm": "Solve the following math problem.",
    "NumGLUE-ds": "Solve the following math problem.",
    "20Minuten": "Provide a simplified version of the following paragraph in German.",
}
FILES = {"train.json": "train", "eval.json": "validation", "test.json": "test"}
_FOLDED = {name.casefold(): name for name in ORDERS["trace"]}


def convert_trace(folder: Path, out: Path) -> BenchmarkRows:
    """Write one Parquet file a data set: ``load_stream(out, order="trace")`` reads them.

    A prompt that begins with its task's instruction is divided into instruction and input. To one that doesn't (all of
    Py150's) the instruction is added, and that is counted; a data set that is none of the eight keeps its prompts
    whole, as instructions without input, and is left out where nothing in it can be learned or tested: the replay set
    (Lima) has no answers to test on. Rows without an answer, and train rows that stand in a test split too, are
    left out and counted.

    Args:
        folder: One size of the unpacked archive: one folder a data set.
        out: Folder to write into; made if missing.

    Returns:
        How many rows came out, and what was left out and why.

    Raises:
        DataError: There are no such folders, a file is missing or damaged, or `out` holds other data.
        WorkspaceError: `out` can't be written.
    """
    folders = sorted({path.parent for name in FILES for path in folder.glob(f"*/{name}")})
    if not folders:
        sizes = sorted({path.parents[1].name for path in folder.glob("*/*/train.json")})
        hint = f"; give one of the folders in it ({', '.join(sizes[:5])})" if sizes else ""
        raise DataError(
            f"no <data set>/train.json here; TRACE's data, one folder a data set, was expected{hint}", folder
        )
    rows = BenchmarkRows()
    rows.pass_over(folder, {place / name for place in folders for name in FILES})
    for place in folders:
        task = _FOLDED.get(place.name.casefold(), place.name)
        rows.begin(task, place, optional=task not in INSTRUCTIONS)
        if task not in INSTRUCTIONS:
            rows.notes.append(f"{task}: none of TRACE's eight tasks; its prompts are kept whole, as instructions")
        for name, split in FILES.items():
            if split != "validation" or (place / name).exists():
                _add_file(rows, place / name, split, task)
    rows.write(out)
    return rows


def _add_file(rows: BenchmarkRows, path: Path, split: str, task: str) -> None:
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError("a list of {prompt, answer} was expected", path)
    bare = 0
    for number, row in enumerate(content, start=1):
        prompt = text_of(row, "prompt", path, number)
        # TRACE's loader takes null for an empty answer; such rows are then counted.
        null = isinstance(row, dict) and "answer" in row and row["answer"] is None
        answer = "" if null else text_of(row, "answer", path, number)
        instruction, given = INSTRUCTIONS.get(task, prompt), ""
        if task in INSTRUCTIONS:
            bare += not prompt.startswith(instruction)
            given = prompt.removeprefix(instruction).lstrip("\n")
        rows.add(split, Example(instruction, given, (answer,), task, path.parent.name))
    if bare:
        rows.notes.append(f"added: {task}'s instruction to {bare} {split} rows whose prompt doesn't begin with it")
