"""The grids of a pack on a bare machine: several cells side by side on one card, as far as the time goes.

    python run.py --pack . --out results --seconds 540 --jobs 6
    python run.py --pack . --out results --seconds 540 --only lora
    python run.py --pack . --out results --earlier records.tar.gz

`make_pack.py` made the pack. Nothing is fetched and nothing is installed: what the machine lacks is in the pack. Each
stage of each run is recorded when it is done. When the time is over, or on Ctrl-C, the runs are interrupted, and
``records.tar.gz`` in the output folder holds what there is: it is brought up to date after every stage, so that it is
there even if the machine is taken away. The same command goes on where it was. On another machine, ``--earlier`` takes
up the finished runs of a ``records.tar.gz``; runs that were cut off begin anew there, since weights don't travel.

Once the records are back: ``inscl bench lora.yaml --out FOLDER --collect`` with the folder ``lora`` of the archive.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

NEEDED = (
    *("torch", "transformers", "peft", "accelerate", "safetensors", "psutil", "numpy", "scipy", "sklearn"),
    *("threadpoolctl", "pyarrow", "pydantic", "yaml", "typer", "rich", "jinja2", "simplemma", "ot", "rouge_score"),
)
"""What inscl imports for these runs. Lance isn't among it: the examples learned are held in memory here."""
BUNDLE = "records.tar.gz"
BUNDLED = (
    "scores.json",
    "metrics.json",
    "learn.json",
    "costs.json",
    "seconds.json",
    "train_log.jsonl",
    "manifest.json",
)
"""What the bundle has of a run besides its record; picks and answers would be too large."""


def main() -> int:
    """Put the pack together, then run it in a process that finds what is in it."""
    if sys.argv[1:2] == ["--cell"]:
        return cell(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True, help="folder with pack.json and the parts")
    parser.add_argument("--out", type=Path, required=True, help="where everything goes; the same again goes on")
    parser.add_argument("--seconds", type=float, default=540, help="stop then")
    parser.add_argument("--jobs", type=int, default=6, help="cells side by side")
    parser.add_argument("--only", choices=("lora", "full"), help="one of the grids")
    parser.add_argument("--earlier", type=Path, help="a records.tar.gz of before")
    options = parser.parse_args()
    until = time.time() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    unpacked = put_together(options.pack, options.out / "pack")
    if options.earlier:
        take_up(options.earlier, options.out)
    site = str((unpacked / "site").resolve())
    sys.path.insert(0, site)  # before what the machine has: the pack holds what was chosen for it
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"this machine lacks {', '.join(missing)}: put wheels of them into the pack (--wheels)", file=sys.stderr)
        return 2
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH")]))
    os.environ.setdefault("INSCL_CACHE", str((options.out / "cache").resolve()))
    os.environ["HF_HUB_OFFLINE"] = "1"
    return run(options, unpacked, until)


def put_together(pack: Path, folder: Path) -> Path:
    """The archive of the parts, unpacked; once.

    Raises:
        SystemExit: A part is missing or damaged; the message says which.
    """
    facts = json.loads((pack / "pack.json").read_text(encoding="utf-8"))
    mark = folder / "unpacked"
    if mark.exists() and mark.read_text(encoding="utf-8") == json.dumps(facts["parts"]):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = folder / "whole.tar.gz"
    with whole.open("wb") as joined:
        for number, digest in enumerate(facts["parts"], start=1):
            part = pack / f"part-{number:02d}"
            if not part.exists():
                raise SystemExit(f"part {number} of {len(facts['parts'])} is missing: {part}")
            content = part.read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise SystemExit(f"{part} is damaged: send it again")
            joined.write(content)
    with tarfile.open(whole) as archive:
        archive.extractall(folder, filter="data")
    whole.unlink()
    mark.write_text(json.dumps(facts["parts"]), encoding="utf-8")
    return folder


def take_up(bundle: Path, out: Path) -> None:
    """Put back the records of finished runs, and the scores that runs share; what is there stays."""
    with tarfile.open(bundle) as archive:
        for entry in archive.getmembers():
            if entry.isfile() and Path(entry.name).parts[1:2] == ("records",) and not (out / entry.name).exists():
                archive.extract(entry, out, filter="data")


def model_of(unpacked: Path, fingerprint: str) -> Path:
    """The folder of the model; made of the GGUF file where the pack has that."""
    from inscl.models import names

    folder, weights = unpacked / "model", unpacked / "model" / "weights.gguf"
    if weights.exists():
        made = names.resolve(weights)
        for file in made.glob("*.safetensors"):
            shutil.copyfile(file, folder / file.name)
        weights.unlink()
    if names.fingerprint(folder) != fingerprint:
        print("the model's files differ from those of the machine that made the pack: its tables won't find the runs")
    return folder


def run(options: argparse.Namespace, unpacked: Path, until: float) -> int:
    """Run the grids, one after the other, and bundle what there is."""
    from inscl.bench.grid.cell_process import CellProcess
    from inscl.bench.grid.experiment import bench
    from inscl.bench.grid.schedule import run_cells
    from inscl.config.loading import read_yaml
    from inscl.errors import InsclError

    facts = json.loads((options.pack / "pack.json").read_text(encoding="utf-8"))
    model, bundle = model_of(unpacked, facts["model"]), Bundle(options.out)
    worker = (str(Path(__file__).resolve()), "--cell")
    start = partial(CellProcess.start, worker=worker)
    signal.signal(signal.SIGTERM, stopped)
    failed = 0
    try:
        for file in sorted((unpacked / "grids").glob("*.yaml"), reverse=True):
            if options.only not in (None, file.stem) or time.time() >= until:
                continue
            grid = dict(read_yaml(file))
            grid["run"]["model"]["name"] = str(model.resolve())
            grid["run"]["stream"]["path"] = str((unpacked / "stream" / facts["stream"]).resolve())

            def goes_on() -> bool:
                bundle.update()
                return time.time() < until

            pool = partial(run_cells, jobs=options.jobs, start=start, goes_on=goes_on)
            made = bench(grid, out=options.out / file.stem, pool=pool, notify=told(file.stem))
            for failure in made.failures:
                print(f"{file.stem}: {failure.cell.title} failed: {failure.reason}", flush=True)
            failed += len(made.failures)
            print(f"{file.stem}: {len(made.done)} of {len(made.cells)} cells are done", flush=True)
    except InsclError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130
    finally:
        bundle.update(now=True)
        print(f"records: {bundle.path}", flush=True)
    return 1 if failed else 0


def stopped(*_: Any) -> None:
    """A polite kill ends as Ctrl-C does, with the bundle."""
    raise KeyboardInterrupt


def told(grid: str) -> Callable[[str, Any], None]:
    """Prints a line when a cell starts or is finished."""
    return lambda event, cell: print(f"{time.strftime('%H:%M:%S')} {grid}: {cell.title} {event}", flush=True)


class Bundle:
    """The archive of what was recorded; written anew when a stage more is done, at most every ten seconds.

    Args:
        out: The output folder.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.path = out, out / BUNDLE
        self._known, self._last = -1, 0.0

    def update(self, now: bool = False) -> None:
        """Write it if there is something new."""
        if not now and time.time() - self._last < 10:
            return
        self._last = time.time()
        done = sum(1 for _ in self.out.glob("*/runs/*/*/*/DONE"))
        if done == self._known and not now:
            return
        self._known = done
        part = self.path.with_suffix(".part")
        with tarfile.open(part, "w:gz", compresslevel=3) as archive:
            for file in self.files():
                try:
                    content = file.read_bytes()
                except FileNotFoundError:
                    continue  # of a stage that has just begun anew
                entry = tarfile.TarInfo(file.relative_to(self.out).as_posix())
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        part.replace(self.path)

    def files(self) -> Iterable[Path]:
        """What is bundled: records and shared scores whole; of each run its scores and what they cost; logs."""
        for grid in sorted(path.parent for path in self.out.glob("*/runs")):
            yield from sorted(path for path in grid.glob("records/**/*.json"))
            yield from sorted(path for path in grid.glob("runs/**/*") if path.name in BUNDLED and path.is_file())
            yield from sorted(grid.glob("runs/*.log"))


def cell(config: str, shared: str) -> int:
    """One run, in a process of its own, without Lance."""
    from inscl.cli.cell import main as run_cell
    from inscl.config.loading import load_config
    from inscl.contract import Memory, Task
    from inscl.engine.open_run import OpenRun, start_run
    from inscl.pipeline import learn_run

    class InMemory:
        """Stands in for the store: what was learned is in the stream, vectors and tags are in the cache."""

        def keys(self) -> tuple[str, ...]:
            return ()

        def add(self, key: str, task: Task, vectors: Any, tags: Any) -> None:
            """Keep nothing."""

        def memory(self, tasks: Iterable[Task]) -> Memory:
            return Memory(tuple(tasks))

    class RunInMemory(OpenRun):
        memory: Any = InMemory()

    def learn(path: Path, progress: Any, shared: Path) -> None:
        with start_run(load_config(path), progress, RunInMemory) as opened:
            learn_run(opened, shared)

    return run_cell(config, shared, learn)


if __name__ == "__main__":
    sys.exit(main())
