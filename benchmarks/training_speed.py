"""Training speed beside the plain Trainer and TRL: same model, rows, order, LoRA, optimiser and seed, in one run.

    pip install -r requirements/benchmarks.txt
    python benchmarks/training_speed.py                  # 24 steps of the demo's examples, by turns
    python benchmarks/training_speed.py --steps 8        # a quick look
    python benchmarks/training_speed.py --beside trainer # without TRL
    python benchmarks/training_speed.py --stream ../shared/superni16

Tokens are prompt and answer, padding not counted. The first step of each warms up and isn't timed. The others are
given the best they can use (bf16, padding on the right to the longest of a batch) but for TRL's second row, which is
what SFTTrainer does when nothing is said. CPU seconds are of all threads, and mean more than wall seconds on a machine
that others use too. `evaluation_speed.py` says how a processor without AVX-512 is emulated.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaluation_speed import emulated

import inscl
from inscl.contract import Example, Task
from inscl.contract.plan import ReplayPlan
from inscl.learners import FineTune
from inscl.learners.training import stage_seed
from inscl.models import names as model_names
from inscl.models.names import quiet
from inscl.models.precision import PRECISIONS, use_bf16
from inscl.storage.files.atomic import write_json, write_text
from inscl.storage.files.provenance import hardware

RESULTS = Path(__file__).parent / "results"
OTHERS = {
    "trainer": "transformers Trainer",
    "trl": "TRL SFTTrainer, bf16, no checkpointing",
    "trl-defaults": "TRL SFTTrainer, its defaults",
}


class Clock:
    """A TrainerCallback's worth of timing: CPU and wall seconds since the first step's end; and each step's loss."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []
        self.losses: list[float] = []

    def callback(self) -> Any:
        """What Trainer is given."""
        from transformers import TrainerCallback

        marks, losses = self.marks, self.losses

        class Mark(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                marks.append((time.perf_counter(), time.process_time()))

            def on_log(
                self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
            ) -> None:
                if logs and "loss" in logs:
                    losses.append(logs["loss"])

        return Mark()


def ours(folder: Path, examples: list[Example], settings: argparse.Namespace, callbacks: list[Any]) -> None:
    """FineTune as it comes."""
    learner = FineTune(
        str(folder),
        epochs=1,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        seed=settings.seed,
        batching=settings.batching,
        precision=settings.precision,
        callbacks=callbacks,
    )
    learner.learn(Task("speed", tuple(examples)), ReplayPlan.nothing("speed"))


def theirs(
    kind: str, folder: Path, rows: list[dict[str, Any]], settings: argparse.Namespace, callbacks: list[Any]
) -> None:
    """The plain Trainer, or TRL's SFTTrainer (``trl``: as fast as it can here; ``trl-defaults``: nothing said)."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed

    seed = stage_seed(settings.seed, 1)
    set_seed(seed)
    bf16 = use_bf16(settings.precision)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16 if bf16 else torch.float32)
    # FineTune's own defaults, written down: what is compared is the way of training.
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear")
    model = get_peft_model(model, lora)
    arguments = {
        "num_train_epochs": 1,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": settings.batch_size,
        "seed": seed,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }
    make = plain_trainer if kind == "trainer" else trl_trainer
    if kind != "trl-defaults":
        arguments |= {"bf16": bf16, "gradient_checkpointing": False}
    with TemporaryDirectory() as folder_of_trainer:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        trainer = make(model, tokenizer, rows, {**arguments, "output_dir": folder_of_trainer})
        for callback in callbacks:
            trainer.add_callback(callback)
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def plain_trainer(model: Any, tokenizer: Any, rows: list[dict[str, Any]], arguments: dict[str, Any]) -> Any:
    """Transformers' Trainer with the model's own loss."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    collator = DataCollatorForSeq2Seq(tokenizer, padding=True)
    return Trainer(model=model, args=TrainingArguments(**arguments), train_dataset=rows, data_collator=collator)


def trl_trainer(model: Any, tokenizer: Any, rows: list[dict[str, Any]], arguments: dict[str, Any]) -> Any:
    """TRL's SFTTrainer on rows that are tokens and labels already."""
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    config = SFTConfig(**arguments, max_length=1024)
    return SFTTrainer(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)


def measure(name: str, train: Callable[[list[Any]], None], tokens: int, steps: int) -> dict[str, Any]:
    """One contender: tokens a second after its first step, and its losses."""
    clock = Clock()
    with quiet():
        train([clock.callback()])
    gc.collect()
    losses = clock.losses
    (wall, cpu), (wall_end, cpu_end) = clock.marks[0], clock.marks[-1]
    timed = tokens * (steps - 1) / steps
    row = {
        "name": name,
        "tokens_per_second": timed / (wall_end - wall),
        "tokens_per_cpu_second": timed / (cpu_end - cpu),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "mean_loss": sum(losses) / len(losses),
    }
    print(
        f"{name}: {row['tokens_per_second']:.0f} tokens/s, mean loss {row['mean_loss']:.4f}",
        file=sys.stderr,
        flush=True,
    )
    return row


def examples_of(stream: str, count: int, seed: int) -> list[Example]:
    """`count` train examples of a stream, tasks by turns."""
    import numpy as np

    found = inscl.load_stream(stream)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(task.train)) for task in found]
    tasks = list(found)
    return [tasks[i % len(tasks)].train[orders[i % len(tasks)][i // len(tasks)]] for i in range(count)]


def table(result: dict[str, Any]) -> str:
    """The rows in Markdown."""
    lines = [
        "| | tokens/s | tokens/CPU s | inscl is faster by (wall, CPU) | first loss | mean loss |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    own = result["rows"][0]
    for row in result["rows"]:
        wall, cpu = (own[key] / row[key] for key in ("tokens_per_second", "tokens_per_cpu_second"))
        lines.append(
            f"| {row['name']} | {row['tokens_per_second']:.0f} | {row['tokens_per_cpu_second']:.0f} "
            f"| {wall:.2f}×, {cpu:.2f}× | {row['first_loss']:.4f} | {row['mean_loss']:.4f} |"
        )
    return "\n".join(lines)


def tokenised(folder: Path, examples: list[Example]) -> list[dict[str, Any]]:
    """The rows as the other trainers take them, from our own tokens."""
    encoder = FineTune(str(folder)).encoder
    rows = []
    for encoded in map(encoder.encode, examples):
        labels = [-100] * encoded.prompt_length + encoded.tokens[encoded.prompt_length :]
        rows.append({"input_ids": encoded.tokens, "attention_mask": [1] * len(labels), "labels": labels})
    return rows


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=model_names.DEFAULT_MODEL)
    parser.add_argument("--stream", default="demo", help="what inscl.load_stream takes")
    parser.add_argument("--steps", type=int, default=24, help="at least 2: the first isn't timed")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--batching", default="pack")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="auto", choices=PRECISIONS, help="of all of them")
    parser.add_argument("--beside", nargs="+", choices=OTHERS, default=list(OTHERS), help="default: all of them")
    parser.add_argument("--out", type=Path, default=RESULTS / "training_speed.json")
    settings = parser.parse_args()
    if settings.steps < 2:
        parser.error("--steps: expected at least 2, since the first step isn't timed")
    if find_spec("trl") is None and any(name.startswith("trl") for name in settings.beside):
        parser.error("TRL isn't installed: pip install -r requirements/benchmarks.txt, or choose --beside trainer")
    return settings


def main() -> None:
    """Run every contender and write the table."""
    settings = options()
    folder = model_names.resolve(settings.model)
    examples = examples_of(settings.stream, settings.steps * settings.batch_size, settings.seed)
    rows = tokenised(folder, examples)
    tokens = sum(len(row["input_ids"]) for row in rows)

    def train(kind: str, callbacks: list[Any]) -> None:
        if kind == "ours":
            ours(folder, examples, settings, callbacks)
        else:
            theirs(kind, folder, rows, settings, callbacks)

    result: dict[str, Any] = {
        "schema": 1,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "command": " ".join(["python benchmarks/training_speed.py", *sys.argv[1:]]),
        "configuration": {key: str(value) for key, value in vars(settings).items() if key not in ("out", "beside")},
        "tokens": tokens,
        "answer_tokens": sum(label != -100 for row in rows for label in row["labels"]),
        "hardware": {**hardware(), **emulated()},
        "packages": {name: version(name) for name in ("torch", "transformers", "peft", "trl") if find_spec(name)},
        "rows": [
            measure(name, partial(train, kind), tokens, settings.steps)
            for kind, name in {"ours": "inscl FineTune", **OTHERS}.items()
            if kind in ("ours", *settings.beside)
        ],
    }
    write_json(settings.out, result)
    write_text(settings.out.with_suffix(".md"), f"`{result['command']}`\n\n{table(result)}\n")
    print(table(result))


if __name__ == "__main__":
    main()
