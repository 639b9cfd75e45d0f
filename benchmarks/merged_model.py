"""A merged export opened by transformers and by llama.cpp, each asked what the run's last stage was asked.

    python benchmarks/merged_model.py                 # two of the demo's tasks are learned for it
    python benchmarks/merged_model.py --run RUN

llama.cpp's own `convert_hf_to_gguf.py` (from the source of llama-cpp-python, which carries it) makes a GGUF file, and
llama.cpp (from xllamacpp) answers from it. Recorded are the run's scores, theirs, and how many answers are, letter for
letter, the run's: its learner keeps the adapter beside the weights in float32, a merged model rounds their sum to bf16.
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
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from export_loaders import HERE, Program, environment, two_tasks, versions_of

from inscl.contract import Example
from inscl.engine.open_run import open_run
from inscl.engine.stage import predictions_file
from inscl.evaluation.scorers import exact_match
from inscl.handover import export
from inscl.storage.files.atomic import write_json
from inscl.storage.files.provenance import hardware, now

PACKAGE = "llama-cpp-python"
SOURCE = f"{PACKAGE}==0.3.36"
SCRIPTS = HERE / "export_loading"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="A run folder with `model.prompt: chat`.")
    parser.add_argument("--keep", type=Path, help="Folder for the environment and the models; default: temporary.")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "merged_model.json")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="inscl-merged-") as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        training = {"epochs": 1, "batch_size": 4, "batching": "pack"}  # as the demo does
        evaluation = {"metrics": ["exact_match"]}
        run = given.run or two_tasks(folder, 160, 30, 32, training=training, evaluation=evaluation)
        rows = _recorded(run)
        export(run, None, folder / "export", merged=True)
        model, python = folder / "export" / "model", environment("llama.cpp", Program("xllamacpp"), folder)
        told = {
            "the run": [row["prediction"].strip() for row in rows],
            "transformers": _asked(python, "answer_transformers.py", model, rows),
            "llama.cpp": _asked(python, "answer_llama_cpp.py", _converted(python, model, folder), rows),
        }
        record = {
            "schema": 1,
            "created": now(),
            "hardware": hardware(),
            "model": open_run(run).settings.model.name,
            "versions": {**versions_of(python, ["transformers", "torch", "xllamacpp"]), "converter of": SOURCE},
            "answers": len(rows),
            "exact match, percent": {who: _score(answers, rows) for who, answers in told.items()},
            "the run's answers": {who: _same(answers, told["the run"]) for who, answers in told.items()},
            "the same by transformers and llama.cpp": _same(told["transformers"], told["llama.cpp"]),
        }
    write_json(given.out, record)
    print(json.dumps({key: value for key, value in record.items() if key not in ("hardware", "versions")}))
    return 0


def _recorded(run: Path) -> list[dict[str, Any]]:
    """The answers of the last stage, each with its prompt and how long it could be."""
    opened = open_run(run)
    found = []
    for task in opened.stream:
        longest = task.max_new_tokens or opened.settings.evaluation.longest_answer(task.name)
        for row in opened.folder.stage(opened.last_stage).rows(predictions_file(task.name)):
            prompt = Example(row["instruction"], row["input"], tuple(row["references"])).prompt
            found.append({**row, "prompt": prompt, "longest": longest})
    return found


def _score(answers: Sequence[str], rows: Sequence[dict[str, Any]]) -> float:
    scores = [exact_match(answer, row["references"]) for answer, row in zip(answers, rows, strict=True)]
    return round(100 * sum(scores) / len(scores), 1)


def _same(answers: Sequence[str], others: Sequence[str]) -> int:
    return sum(one == other for one, other in zip(answers, others, strict=True))


def _asked(python: Path, script: str, model: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    command = [str(python), str(SCRIPTS / script), str(model)]
    prompts = [[row["prompt"], row["longest"]] for row in rows]
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
