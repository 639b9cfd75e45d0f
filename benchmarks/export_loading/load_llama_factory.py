"""Load an export as ``llamafactory-cli train`` does: ``python load_llama_factory.py FOLDER``; JSON in the last line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

os.chdir(sys.argv[1])
# Keys that the parser doesn't know are errors.
model, data, training, _, _ = get_train_args(yaml.safe_load(Path("llama_factory.yaml").read_text(encoding="utf-8")))
loaded = load_tokenizer(model)
template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
rows, seen = [], []
for row in get_dataset(template, model, data, training, stage="sft", **loaded)["train_dataset"]:
    begins = next(k for k, label in enumerate(row["labels"]) if label != -100)
    rows.append([row["input_ids"][:begins], row["input_ids"][begins:]])
    seen.append(len(row.get("images") or []))
told = {"rows": rows, "learning_rate": training.learning_rate, "seed": training.seed}
if any(seen):
    tokenizer = loaded["tokenizer"]
    token = tokenizer.convert_tokens_to_ids(loaded["processor"].image_token)
    told["pictures"] = [
        {
            "prompt": tokenizer.decode([one for one in prompt if one != token]),
            "answer": tokenizer.decode(answer),
            "pictures": count,
            "tokens": prompt.count(token),
        }
        for (prompt, answer), count in zip(rows, seen, strict=True)
    ]
print(json.dumps(told))
