"""Streams of pictures, made of what packages carry: tasks of instructions about photographs, clothes, digits, stamps.

    python benchmarks/picture_streams/run.py ~/pictures/domain --photographs bigbench-1.0.0.tar.gz
    python benchmarks/picture_streams/run.py ~/pictures/capability --setting capability --sources photographs
    python benchmarks/picture_streams/run.py ~/pictures/model --part model --setting capability --train 600

In the setting `domain` every source is a task, and its rows ask in all four ways: name it, which of two, yes or no,
describe it. In the setting `capability` every way to ask is a task, over the same pictures of one source. Train and
test pictures differ. A half of all pictures (`--part model`) is for making a model, as small_llava does; the other half
is for streams.

Nothing is downloaded. A source that isn't there is left out, with a message that says how to get it; one that is named
with `--sources` must be there. Never commit what this writes: it refuses a folder inside this repository. CIFAR-10
comes out of a benchmark whose data should stay out of training corpora: its canary stands in every row about it and in
SOURCES.md.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from sources import SOURCES, Shown  # noqa: E402
from tasks import KINDS, balanced, file_of, mixed, of_kind, parted  # noqa: E402

from inscl.errors import DataError  # noqa: E402
from inscl.storage.files.atomic import write_jsonl, write_text  # noqa: E402

Read = dict[str, tuple[list[Shown], str]]


def main() -> None:
    """Write the stream that was asked for."""
    parser, given = options()
    folder = given.out.expanduser().resolve()
    if HERE.parent.parent.resolve() in (folder, *folder.parents):
        parser.error(f"{folder} lies inside this repository, and the pictures must not be committed: choose another")
    if folder.exists() and any(folder.iterdir()):
        parser.error(f"{folder} isn't empty: choose another folder, or empty it")
    try:
        found = read(given)
        tasks = domain(found, given) if given.setting == "domain" else capability(found, given)
    except DataError as error:
        parser.error(str(error))
    shown = {one.digest: one for pictures, _ in found.values() for one in pictures}
    used = {row["image"] for rows in tasks.values() for row in rows}
    (folder / "pictures").mkdir(parents=True)
    for one in shown.values():
        if file_of(one) in used:
            (folder / file_of(one)).write_bytes(one.content)
    for task, rows in tasks.items():
        write_jsonl(folder / f"{task}.jsonl", rows)
        print(f"{task}: {sum(row['split'] == 'train' for row in rows)} train rows, {len(rows)} rows")
    write_text(folder / "SOURCES.md", about(found))
    print(f"{len(used)} pictures; stream: {folder}")


def options() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """What was given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the stream's folder, new or empty")
    parser.add_argument("--setting", choices=("domain", "capability"), default="domain")
    parser.add_argument("--sources", nargs="+", choices=list(SOURCES), help="default: all that are there")
    for name, source in SOURCES.items():
        if name != "digits":
            parser.add_argument(f"--{name}", type=Path, default=source.where, help=source.get)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="ways to ask")
    parser.add_argument(
        "--every-way", action="store_true", help="domain: ask about each picture in all ways, not in one"
    )
    parser.add_argument("--part", choices=("stream", "model", "all"), default="stream")
    parser.add_argument("--train", type=int, default=64, help="train pictures of a source")
    parser.add_argument("--test", type=int, default=40, help="test pictures of a source")
    parser.add_argument("--seed", type=int, default=0)
    return parser, parser.parse_args()


def read(given: argparse.Namespace) -> Read:
    """The pictures of each source that is there: those for training, then those for tests, and the canary."""
    found: Read = {}
    for name in given.sources or SOURCES:
        path = getattr(given, name, None)
        needs = name != "digits"
        if needs and (path is None or not path.exists()):
            missing = f"no {name} at {path}" if path else f"no {name}"
            if given.sources:
                raise DataError(f"{missing}: {SOURCES[name].get}")
            print(f"{missing}, left out: {SOURCES[name].get}")
            continue
        try:
            pictures, canary = SOURCES[name].read(path)
        except (OSError, EOFError, KeyError, ValueError, ImportError, tarfile.TarError) as error:
            raise DataError(f"can't read the {name}: {type(error).__name__}: {error}", path) from error
        pictures = balanced(parted(pictures, given.part), given.seed)
        if len(pictures) < given.train + given.test:
            asked = f"{given.train} + {given.test} were asked for"
            raise DataError(f"the part {given.part!r} of the {name} has {len(pictures)} pictures, and {asked}")
        found[name] = (pictures[: given.train + given.test], canary)
    if not found:
        raise DataError("no source of pictures is there")
    return found


def domain(found: Read, given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """A task for each source."""
    tasks = {}
    for name, (pictures, canary) in found.items():
        if given.every_way:
            each = [of_kind(pictures, SOURCES[name], kind, given.seed) for kind in given.kinds]
            tasks[name] = [row for rows in each for row in _split(rows, given.train, canary)]
        else:
            tasks[name] = _split(mixed(pictures, SOURCES[name], given.kinds, given.seed), given.train, canary)
    return tasks


def capability(found: Read, given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """A task for each way to ask about the pictures of one source."""
    name = next(iter(found))
    if len(found) > 1:
        print(f"one set of pictures is shown: {name}; choose another one with --sources")
        for other in list(found)[1:]:
            del found[other]
    pictures, canary = found[name]
    return {
        f"{name}_{kind}": _split(of_kind(pictures, SOURCES[name], kind, given.seed), given.train, canary)
        for kind in given.kinds
    }


def _split(rows: list[dict[str, Any]], train: int, canary: str) -> list[dict[str, Any]]:
    kept = {"canary": canary} if canary else {}
    return [{**row, "split": "train" if k < train else "test", **kept} for k, row in enumerate(rows)]


def about(found: Read) -> str:
    """Where the pictures are from; with the canary."""
    lines = ["# Sources", "", "Not to be passed on or committed without a look at these licences.", ""]
    for name, (pictures, canary) in found.items():
        lines.append(f"- {name}: {len(pictures)} pictures, {SOURCES[name].licence}")
        if canary:
            lines += ["", f"  {canary}", ""]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
