"""The offline tagger's tags of twenty instructions of a stream, and how all its tags are distributed, as Markdown.

    python benchmarks/show_tags.py FOLDER [--count COUNT]

FOLDER holds Parquet files with the columns `task`, `source_task` and `instruction`, one file a task. InsInfo is
counted over all distinct instructions there. Instructions are shortened to their first words: some sources allow no
more. Writes to standard output.
"""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet

from inscl.tagging import instruction_information, merge_tags
from inscl.tagging.keyphrases import KeyphraseTagger

WORDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the Parquet files are")
    parser.add_argument("--count", type=int, default=20, help="how many instructions are shown")
    given = parser.parse_args()
    paths = sorted(given.folder.glob("*.parquet"))
    if not paths:
        parser.error(f"no Parquet files in {given.folder}")
    show(given.folder, paths, given.count)


def show(folder: Path, paths: list[Path], count: int) -> None:
    """Print the table and the distribution."""
    columns = ["task", "source_task", "instruction"]
    tables = [pyarrow.parquet.read_table(path, columns=columns).to_pylist() for path in paths]
    first = {row["instruction"]: row for table in tables for row in table}
    texts = sorted(first)
    raw = KeyphraseTagger()(texts)
    merged = merge_tags(raw, None)
    information = instruction_information(merged)

    print(f"Made on {date.today()} by `python benchmarks/show_tags.py {folder}`: {len(texts)} distinct instructions.\n")
    print("| task | the instruction begins | tags | InsInfo |\n|---|---|---|---|")
    # The same share of every task, spread evenly over its instructions by the names of their sources.
    names = sorted({row["task"] for row in first.values()})
    for number in range(count):
        task = names[number % len(names)]
        own = sorted((i for i, text in enumerate(texts) if first[text]["task"] == task), key=lambda i: texts[i][::-1])
        i = own[len(own) * (1 + number // len(names)) // (2 + count // len(names))]
        words = texts[i].replace("|", " ").split()
        excerpt = " ".join(words[:WORDS]) + (" …" if len(words) > WORDS else "")
        print(f"| {task} | {excerpt} | {' · '.join(raw[i])} | {information[i]:.1f} |")

    carried = Counter(tag for own in merged for tag in own)
    sizes = Counter(map(len, merged))
    low, middle, high = np.percentile(information, [5, 50, 95])
    print(f"\nOver all {len(texts)}: {len(carried):,} different tags, of which ", end="")
    print(f"{sum(n == 1 for n in carried.values()):,} stand on one instruction only; ", end="")
    print(f"{min(sizes)} to {max(sizes)} tags an instruction; InsInfo {low:.1f} / {middle:.1f} / {high:.1f} ", end="")
    print("(5th percentile, median, 95th).\n")
    print("The most frequent: " + ", ".join(f"{tag} ({n})" for tag, n in carried.most_common(25)) + ".")


if __name__ == "__main__":
    main()
