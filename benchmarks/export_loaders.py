"""Exports loaded by the programs that they are for, each installed in an environment of its own.

    python benchmarks/export_loaders.py                              # TRL and LLaMA-Factory
    python benchmarks/export_loaders.py --also axolotl ms-swift
    python benchmarks/export_loaders.py --run RUN --keep FOLDER      # a run of yours; the environments stay there
    python benchmarks/export_loaders.py --pictures      # LLaMA-Factory's and ms-swift's multimodal forms

A program's own loader reads configuration and data, puts the model's chat template around them and tokenises them.
What it is about to train on is then held against what inscl trains on: the same examples, the same prompt tokens
without loss, the same answer tokens with loss. With pictures, a program puts a template of its own around the texts;
each row must then have its question, its answer, its pictures, and as many tokens for them as the model's processor
gives. Every loader stops at a key of the configuration that its program doesn't have. One version of torch serves them
all; LLaMA-Factory and Axolotl are installed without what they ask for and never use here (`export_loading/`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from export_loading import pictures

import inscl
from inscl.contract import Example
from inscl.engine.open_run import open_run
from inscl.handover import export
from inscl.models.prompts import PromptEncoder
from inscl.storage.files.atomic import read_jsonl, write_json
from inscl.storage.files.provenance import hardware, now

HERE = Path(__file__).parent
TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Program:
    """What a program needs to load data, beside the requirements in ``export_loading/``.

    Attributes:
        package: Its name.
        alone: What is installed without what it asks for: its requirements are then those in the file only.
        empty: Modules that it imports for sound, put there as empty files.
    """

    package: str
    alone: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


PROGRAMS = {
    "trl": Program("trl"),
    "llama-factory": Program("llamafactory", ("llamafactory==0.9.5",), ("torchaudio",)),
    "axolotl": Program("axolotl", ("axolotl==0.19.0", "axolotl-contribs-lgpl==0.0.7", "axolotl-contribs-mit==0.0.6")),
    "ms-swift": Program("ms-swift"),
}
ALWAYS = ("trl", "llama-factory")
SEEING = ("llama-factory", "ms-swift")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="A run folder; default: two small tasks are learned for it.")
    parser.add_argument("--also", nargs="*", default=[], choices=[name for name in PROGRAMS if name not in ALWAYS])
    parser.add_argument("--only", nargs="*", choices=list(PROGRAMS))
    parser.add_argument("--keep", type=Path, help="Folder for environments and exports; default: a temporary one.")
    parser.add_argument("--pictures", action="store_true", help="Load an export with pictures; --run has some, too.")
    parser.add_argument(
        "--out", type=Path, help="default: results/export_loaders.json, or export_loaders_pictures.json"
    )
    given = parser.parse_args()
    with TemporaryDirectory(prefix="inscl-loaders-") as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        evaluation = {"metrics": ["exact_match"], "max_new_tokens": 8}
        run, compared = given.run, WithPictures if given.pictures else Texts
        if run is None and given.pictures:
            run = pictures.two_tasks(folder)
        run = run or two_tasks(folder, 12, 2, 4, training={"epochs": 1}, evaluation=evaluation)
        expected = compared(run)
        found = {}
        for name in given.only or (SEEING if given.pictures else [*ALWAYS, *given.also]):
            found[name] = _load(name, run, folder, expected)
            print(name, json.dumps(found[name]), flush=True)
    model = "a random LLaVA, export_loading/pictures.py" if given.pictures else open_run(run).settings.model.name
    record = {"schema": 1, "created": now(), "hardware": hardware(), "model": model, "programs": found}
    name = "export_loaders_pictures.json" if given.pictures else "export_loaders.json"
    write_json(given.out or HERE / "results" / name, record)
    return 0 if all(result["loaded"] and result["same"] == result["rows"] for result in found.values()) else 1


def two_tasks(folder: Path, train: int, test: int, replayed: int, **sections: Mapping[str, Any]) -> Path:
    """Two of the demo's tasks, learned by the default model: the run's folder."""
    order = ["route_message", "redact_personal_data"]
    inscl.run(
        {
            "stream": {"path": "demo", "order": order, "train_per_task": train, "test_per_task": test},
            "replay": {"budget": {"per_task": replayed}, "embedder": "ngrams", "tag_embedder": None},
            "output_dir": str(folder / "run"),
            **sections,
        }
    )
    return folder / "run"


def _expected(run: Path) -> Counter[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Prompt and answer tokens of every example of the last stage, as inscl trains on them."""
    from inscl.models.language_model import LanguageModel

    settings = open_run(run).settings
    tokenizer = LanguageModel(settings.model.name).tokenizer
    encoder = PromptEncoder(tokenizer, settings.model.prompt, settings.training.max_length)
    with TemporaryDirectory() as temporary:
        export(run, "jsonl", Path(temporary) / "out")
        rows = read_jsonl(Path(temporary) / "out" / "train.jsonl")
    counted: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for row in rows:
        encoded = encoder.encode(Example(row["instruction"], row["input"], (row["output"],)))
        counted[tuple(encoded.tokens[: encoded.prompt_length]), tuple(encoded.tokens[encoded.prompt_length :])] += 1
    return counted


class Texts:
    """What inscl trains on, token by token."""

    def __init__(self, run: Path) -> None:
        self.wanted = _expected(run)
        self.count = self.wanted.total()

    def same(self, read: Mapping[str, Any]) -> int:
        """How many of the rows that a program read are the same."""
        return _same(read["rows"], self.wanted)


class WithPictures:
    """Questions, answers and pictures of the mix."""

    def __init__(self, run: Path) -> None:
        self.wanted = pictures.expected(run)
        self.count = len(self.wanted)

    def same(self, read: Mapping[str, Any]) -> int:
        """How many of the rows that a program read are the same."""
        return pictures.same(read["pictures"], self.wanted)


def _load(name: str, run: Path, folder: Path, expected: Texts | WithPictures) -> dict[str, Any]:
    """Install a program, export for it, have it load that, and compare."""
    python = environment(name, PROGRAMS[name], folder)
    exported = folder / "exports" / name
    export(run, name, exported)
    script = HERE / "export_loading" / f"load_{name.replace('-', '_')}.py"
    # No hub, no usage reports.
    quiet = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "HF_HOME": str(folder / "hf")}
    command = [str(python), str(script), str(exported)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet}, check=False)
    versions = versions_of(python, [PROGRAMS[name].package, "transformers", "datasets", "torch"])
    if done.returncode:
        sys.stderr.write(done.stderr[-4000:])
        return {"loaded": False, "versions": versions, "said": done.stderr.strip().split("\n")[-1]}
    read = json.loads(done.stdout.strip().split("\n")[-1])
    settings = open_run(run).settings
    return {
        "loaded": True,
        "versions": versions,
        "rows": len(read["rows"]),
        "expected": expected.count,
        "same": expected.same(read),
        "same_settings": [read["learning_rate"], read["seed"]] == [settings.training.learning_rate, settings.seed],
    }


def _same(rows: Sequence[Sequence[Sequence[int]]], expected: Counter[Any]) -> int:
    """How many rows are an example of inscl's, token by token; a template may end a turn after the answer's end."""
    left, same = Counter(expected), 0
    for prompt, answer in rows:
        for (asked, told), count in left.items():
            if count and tuple(prompt) == asked and tuple(answer[: len(told)]) == told:
                left[asked, told] -= 1
                same += 1
                break
    return same


def environment(name: str, program: Program, folder: Path) -> Path:
    """The program's own Python; made once."""
    place = folder / "environments" / name
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        requirements = HERE / "export_loading" / f"{name.replace('-', '_').replace('.', '_')}.txt"
        _pip(python, [TORCH, "--requirement", str(requirements)])
        if program.alone:
            _pip(python, ["--no-deps", *program.alone])
        (site,) = place.glob("lib/python*/site-packages")
        for module in program.empty:
            (site / f"{module}.py").touch()
        (place / "ready").touch()
    return python


def _pip(python: Path, arguments: Sequence[str]) -> None:
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *arguments], check=True)


def versions_of(python: Path, packages: Sequence[str]) -> Mapping[str, str]:
    """Versions of packages in an environment."""
    code = "import sys, json, importlib.metadata as m; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    done = subprocess.run([str(python), "-c", code, *packages], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
