"""A merged export opened by transformers and by llama.cpp, each asked what the run's last stage was asked.

    python benchmarks/merged_model.py                     # two small tasks are learned for it
    python benchmarks/merged_model.py --run RUN --tokens 8

llama.cpp's own `convert_hf_to_gguf.py` (from the source of llama-cpp-python, which carries it) makes a GGUF file, and
llama.cpp (from xllamacpp) answers from it. Counted are the answers that are, letter for letter, those that the run
recorded; its learner keeps adapter and weights apart and the adapter in float32, so a close call may fall otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

from export_loaders import HERE, Program, environment, small_run, versions_of

from inscl.data import Example
from inscl.handover import export
from inscl.pipeline import open_run
from inscl.workspace.atomic import read_jsonl, write_json
from inscl.workspace.provenance import hardware, now

PACKAGE = "llama-cpp-python"
SOURCE = f"{PACKAGE}==0.3.36"
SCRIPTS = HERE / "export_loading"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, help="A run folder with `model.prompt: chat`; default: a small one is made."
    )
    parser.add_argument("--tokens", type=int, default=8, help="Most new tokens of an answer, as in the run.")
    parser.add_argument("--keep", type=Path, help="Folder for the environment and the models; default: temporary.")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "merged_model.json")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="inscl-merged-") as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        run = given.run or small_run(folder, test_per_task=16)
        prompts, recorded = _answers(run)
        export(run, None, folder / "export", merged=True)
        model, python = folder / "export" / "model", environment("llama.cpp", Program("xllamacpp"), folder)
        asked = (prompts, given.tokens)
        told = {
            "transformers": _asked(python, "answer_transformers.py", model, *asked),
            "llama.cpp": _asked(python, "answer_llama_cpp.py", _converted(python, model, folder), *asked),
        }
        record = {
            "schema": 1,
            "created": now(),
            "hardware": hardware(),
            "model": open_run(run)[0].model.name,
            "versions": {**versions_of(python, ["transformers", "torch", "xllamacpp"]), "converter of": SOURCE},
            "answers": len(prompts),
            "as the run recorded": {name: _same(answers, recorded) for name, answers in told.items()},
            "the same by both": _same(*told.values()),
        }
    write_json(given.out, record)
    print(json.dumps(record["as the run recorded"]), record["the same by both"], "of", len(prompts))
    return 0


def _answers(run: Path) -> tuple[list[str], list[str]]:
    """What the last stage was asked, and what it answered."""
    last = max((path for path in (run / "stages").iterdir() if (path / "DONE").exists()), key=lambda path: path.name)
    rows = [row for file in sorted((last / "predictions").glob("*.jsonl")) for row in read_jsonl(file)]
    prompts = [Example(row["instruction"], row["input"], tuple(row["references"])).prompt for row in rows]
    return prompts, [row["prediction"].strip() for row in rows]


def _same(answers: Sequence[str], others: Sequence[str]) -> int:
    return sum(one == other for one, other in zip(answers, others, strict=True))


def _asked(python: Path, script: str, model: Path, prompts: Sequence[str], tokens: int) -> list[str]:
    command = [str(python), str(SCRIPTS / script), str(model), str(tokens)]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, input=json.dumps(prompts), stdout=subprocess.PIPE, text=True, env=quiet, check=True)
    return list(json.loads(done.stdout.strip().split("\n")[-1]))


def _converted(python: Path, model: Path, folder: Path) -> Path:
    """The model as a GGUF file, in bf16, by llama.cpp's own script."""
    source = folder / "llama.cpp"
    if not source.exists():
        pip = [
            str(python),
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            SOURCE.split("==")[0],
            SOURCE,
        ]
        subprocess.run([*pip, "--dest", str(folder)], check=True)
        (archive,) = folder.glob("llama_cpp_python-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder / "unpacked", filter="data")
        next((folder / "unpacked").glob("*/vendor/llama.cpp")).rename(source)
    out = folder / "model.gguf"
    command = [
        str(python),
        str(source / "convert_hf_to_gguf.py"),
        str(model),
        "--outtype",
        "bf16",
        "--outfile",
        str(out),
    ]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(source / "gguf-py")})
    return out


if __name__ == "__main__":
    sys.exit(main())
