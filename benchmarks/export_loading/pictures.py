"""A small run with pictures, and what a program that loads its export should read.

The model is a random LLaVA of a million weights with SmolLM2's tokenizer: what is checked is how rows and pictures are
read, not what the model says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import inscl
from inscl.handover import export
from inscl.models.names import quiet, resolve
from inscl.storage.files.atomic import read_jsonl

EDGE, PATCH = 32, 8
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (40, 40, 230), "yellow": (230, 220, 30)}


def tiny_llava(folder: Path) -> Path:
    """A random LLaVA whose pictures take 16 tokens."""
    import torch
    import transformers as t

    tokenizer = t.AutoTokenizer.from_pretrained(resolve("smollm2-135m"))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    edge = {"height": EDGE, "width": EDGE}
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = t.LlavaConfig(
        vision_config=t.CLIPVisionConfig(**small, image_size=EDGE, patch_size=PATCH, projection_dim=16),
        text_config=t.LlamaConfig(**small, vocab_size=len(tokenizer), tie_word_embeddings=True),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_seq_length=(EDGE // PATCH) ** 2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    with quiet():
        t.LlavaProcessor(
            t.CLIPImageProcessor(size=edge, crop_size=edge, do_center_crop=False),
            tokenizer,
            patch_size=PATCH,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=tokenizer.chat_template,
        ).save_pretrained(folder)
        t.LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


def two_tasks(folder: Path) -> Path:
    """Two tasks about coloured squares, one row with two pictures and one without any; the run's folder."""
    from PIL import Image

    stream = folder / "stream"
    stream.mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 14), colour).save(stream / f"{name}.png")
    asked = [{"instruction": "Name the colour.", "output": name, "image": f"{name}.png"} for name in COLOURS]
    both = {"instruction": "Is <image> as bright as <image>?", "output": "no", "image": ["red.png", "yellow.png"]}
    other = [{"instruction": "Is it warm?", "output": answer, "image": f"{name}.png"} for name, answer in _WARM.items()]
    blind = {"instruction": "Say that it is dark.", "input": "Now.", "output": "It is dark.", "image": []}
    for task, rows in (("colours", [*asked, both]), ("warmth", [*other, blind])):
        split = [{**row, "split": "train"} for row in rows] + [{**rows[0], "input": "Again.", "split": "test"}]
        (stream / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in split), encoding="utf-8")
    inscl.run(
        {
            "stream": {"path": str(stream), "order": ["colours", "warmth"]},
            "model": {"name": str(tiny_llava(folder / "model")), "adapter": {"r": 2}},
            "replay": {"strategy": "random", "budget": {"per_task": 5}},
            "training": {"epochs": 1},
            "evaluation": {"metrics": ["exact_match"], "max_new_tokens": 2},
            "output_dir": str(folder / "run"),
        }
    )
    return folder / "run"


_WARM = {"red": "yes", "blue": "no", "yellow": "yes"}


def expected(run: Path) -> list[dict[str, Any]]:
    """What each row of the last stage's mix asks, its answer and the number of its pictures."""
    with TemporaryDirectory() as temporary:
        export(run, "jsonl", Path(temporary) / "out")
        rows = read_jsonl(Path(temporary) / "out" / "train.jsonl")
    return [
        {"asked": _asked(row), "answer": row["output"], "pictures": len(row["images"]), "tokens": _tokens(row)}
        for row in rows
    ]


def _asked(row: Mapping[str, Any]) -> list[str]:
    """The texts that stand in a prompt, apart from the markers of pictures."""
    texts = "\n\n".join(text for text in (row["instruction"], row["input"]) if text).split("<image>")
    return [text.strip() for text in texts if text.strip()]


def _tokens(row: Mapping[str, Any]) -> int:
    return len(row["images"]) * (EDGE // PATCH) ** 2


def same(rows: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> int:
    """How many of the rows that a program read are one of the mix: question, answer, pictures and their tokens."""
    left, found = list(wanted), 0
    for row in rows:
        for one in left:
            alike = (row["pictures"], row["tokens"]) == (one["pictures"], one["tokens"])
            asks = all(text in row["prompt"] for text in one["asked"])
            if alike and asks and row["answer"].strip().startswith(one["answer"]):
                left.remove(one)
                found += 1
                break
    return found
