"""Everything that `run.py` needs on a machine without a network, in files of at most so many MiB each.

    python benchmarks/accelerator/make_pack.py --stream shared/superni16 --wheels wheels --out pack
    python benchmarks/accelerator/make_pack.py --stream mydata --order "" --rows 100 --replayed 10 --out pack

The pack holds inscl, the model, the stream, the wheels that the machine lacks (unpacked), and two grids: `lora.yaml`
and `full.yaml`. It is one compressed archive, cut into ``part-01``, ``part-02``, ..., so that the weights travel in as
many transfers as they need; `run.py` puts it together. `run.py` and the grids lie beside the parts as well: the grids
name what this machine has, and draw the tables from the records that come back.

benchmarks/accelerator/README.md says what the other machine must have.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import inscl
from inscl.bench.grid.grid import cells_of, load_grid
from inscl.data.yaml_values import dump_yaml
from inscl.errors import InsclError
from inscl.models import names
from inscl.storage.files.atomic import write_json, write_text

HERE = Path(__file__).parent
METHODS: dict[str, Any] = {
    "none": "none",
    "random": "random",
    "inscl": "inscl",
    "coverage": {"name": "coverage", "strategy": {"name": "inscl", "params": {"coverage": True}}},
    "measured": "measured",
}
MIB = 1 << 20


class Parts(io.RawIOBase):
    """Writes what comes into files of at most `most` bytes each."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self.digests: list[str] = []
        self._file: Any = None
        self._digest = hashlib.sha256()
        self._written = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Write all of it, into as many files as that takes."""
        left = memoryview(data).cast("B")
        while len(left):
            if self._file is None or self._written == self.most:
                self._next()
            piece = left[: self.most - self._written]
            self._file.write(piece)
            self._digest.update(piece)
            self._written += len(piece)
            left = left[len(piece) :]
        return len(memoryview(data).cast("B"))

    def _next(self) -> None:
        self.end()
        self._file = (self.folder / f"part-{len(self.digests) + 1:02d}").open("wb")
        self._digest, self._written = hashlib.sha256(), 0

    def end(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
            self.digests.append(self._digest.hexdigest())
            self._file = None


def contents(options: argparse.Namespace) -> Iterator[tuple[str, Path | bytes]]:
    """Name in the archive and what stands there: a file, or its content."""
    package = Path(inscl.__file__).parent
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"site/inscl/{file.relative_to(package).as_posix()}", file
    installed = distribution("inscl")
    for name in ("METADATA", "entry_points.txt"):
        yield f"site/inscl-{installed.version}.dist-info/{name}", (installed.read_text(name) or "").encode()
    for wheel in sorted(options.wheels.glob("*.whl")) if options.wheels else ():
        with zipfile.ZipFile(wheel) as opened:
            for entry in opened.infolist():
                if not entry.is_dir():
                    yield f"site/{entry.filename}", opened.read(entry)
    yield from model_files(options.model)
    stream = Path(options.stream)
    files = sorted(file for file in stream.rglob("*") if file.is_file()) if stream.is_dir() else [stream]
    for file in files:
        yield f"stream/{file.relative_to(stream).as_posix() if stream.is_dir() else file.name}", file
    yield "run.py", HERE / "run.py"


def model_files(name: str) -> Iterator[tuple[str, Path]]:
    """A model's folder; of a GGUF file that file and what was made of it but for the weights, which are larger."""
    folder = names.resolve(name)
    packaged = names.packaged() if name == names.DEFAULT_MODEL else Path(name) if name.endswith(".gguf") else None
    if packaged is not None:
        yield "model/weights.gguf", packaged
    for file in sorted(folder.iterdir()):
        if file.is_file() and not (packaged is not None and file.suffix == ".safetensors"):
            yield f"model/{file.name}", file


def grid_of(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """The grid of one adapter, as this machine names model and stream."""
    adapter = {"kind": "lora", "r": 16, "alpha": 32} if kind == "lora" else {"kind": "none"}
    rate = options.lora_rate if kind == "lora" else options.full_rate
    run = {
        "stream": {
            "path": str(options.stream),
            "train_per_task": options.rows,
            "test_per_task": options.test_rows,
            "leaks": "drop",
            **({"order": options.order} if options.order else {}),
        },
        "model": {"name": options.model, "prompt": "plain", "adapter": adapter, "keep": "last"},
        # Synonymous tags aren't merged: the embedder for that isn't in the pack.
        "replay": {"budget": {"per_task": options.replayed}, "embedder": options.embedder, "tag_embedder": None},
        "training": {"epochs": options.epochs, "learning_rate": rate, "batch_size": options.batch, "save_every": None},
        "evaluation": {
            "metrics": ["answer_loss", "rouge_l"],
            "test_examples": {"generation": options.generated, "likelihood": options.test_rows},
            "max_new_tokens": options.longest,
            "between": options.between,
            "batch_size": 64,
            "base": True,
            "experts": not options.no_experts,
        },
    }
    methods = [METHODS[name] for name in options.methods.split(",")]
    reference = "random" if "random" in options.methods.split(",") else options.methods.split(",")[0]
    return {"run": run, "methods": methods, "seeds": options.seeds, "reference": reference, "output_dir": kind}


def main() -> None:
    """Make the pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--stream", required=True, help="a folder or file of tasks")
    parser.add_argument("--order", default="superni16_curriculum", help="of the tasks; empty: as in the data")
    parser.add_argument("--model", default=names.DEFAULT_MODEL, help="a folder, a .gguf file, or the default model")
    parser.add_argument("--wheels", type=Path, help="folder of wheels that the machine lacks, made for it")
    parser.add_argument("--most-mib", type=int, default=60, help="most MiB of a file")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--adapters", default="lora,full", help="lora, full, or both")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--rows", type=int, default=1000, help="train rows of a task")
    parser.add_argument("--replayed", type=int, default=200, help="replayed rows of each earlier task")
    parser.add_argument("--test-rows", type=int, default=100, help="test rows of a task, asked for their likelihood")
    parser.add_argument("--generated", type=int, default=16, help="of those, how many are answered, too")
    parser.add_argument("--between", type=int, default=16, help="test rows of earlier tasks before the last stage")
    parser.add_argument("--longest", type=int, default=24, help="tokens of an answer")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch", type=int, default=16, help="rows of a step")
    parser.add_argument("--lora-rate", type=float, default=1e-3, help="learning rate of LoRA")
    parser.add_argument("--full-rate", type=float, default=2e-5, help="learning rate of full fine-tuning")
    parser.add_argument("--embedder", default="model", help="embeds instructions")
    parser.add_argument("--no-experts", action="store_true", help="leave out Relative Gain's experts")
    options = parser.parse_args()
    if unknown := sorted(set(options.methods.split(",")) - set(METHODS)):
        parser.error(f"no method {unknown[0]!r}; there are {', '.join(METHODS)}")
    adapters = options.adapters.split(",")
    if unknown := sorted(set(adapters) - {"lora", "full"}):
        parser.error(f"no adapter {unknown[0]!r}; there are lora and full")
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"{options.out} is not empty")
    if not Path(options.stream).exists():
        parser.error(f"no stream {options.stream}")
    grids = {name: grid_of(options, name) for name in adapters}
    try:
        counts = {name: len(cells_of(load_grid(grid))) for name, grid in grids.items()}
        make(options, grids)
    except InsclError as error:
        parser.error(str(error))
    print(f"cells: {', '.join(f'{name} {count}' for name, count in counts.items())}")


def make(options: argparse.Namespace, grids: dict[str, dict[str, Any]]) -> None:
    """Write parts, their list, the grids and `run.py`."""
    options.out.mkdir(parents=True, exist_ok=True)
    parts = Parts(options.out, options.most_mib * MIB)
    with (
        gzip.GzipFile(fileobj=parts, mode="wb", compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for name, source in contents(options):
            add(archive, name, source)
        for kind, grid in grids.items():
            add(archive, f"grids/{kind}.yaml", dump_yaml(grid).encode())
            write_text(options.out / f"{kind}.yaml", dump_yaml(grid))
    parts.end()
    fingerprint = names.fingerprint(names.resolve(options.model))
    stream = Path(options.stream)
    facts = {"parts": parts.digests, "model": fingerprint, "stream": "" if stream.is_dir() else stream.name}
    write_json(options.out / "pack.json", facts)
    write_text(options.out / "run.py", (HERE / "run.py").read_text(encoding="utf-8"))
    for number in range(1, len(parts.digests) + 1):
        file = options.out / f"part-{number:02d}"
        print(f"{file}: {file.stat().st_size / MIB:.1f} MiB")


def add(archive: tarfile.TarFile, name: str, source: Path | bytes) -> None:
    """One file, with nothing of whose it is."""
    entry = tarfile.TarInfo(name)
    entry.size = source.stat().st_size if isinstance(source, Path) else len(source)
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as opened:
        archive.addfile(entry, opened)


if __name__ == "__main__":
    main()
