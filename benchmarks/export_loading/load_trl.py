"""Load an export as ``trl sft`` does, up to the first step: ``python load_trl.py FOLDER``; one JSON line at the end."""

from __future__ import annotations

import json
import os
import sys

from trl import SFTTrainer, get_dataset, get_peft_config
from trl.scripts.sft import make_parser

os.chdir(sys.argv[1])
# Keys that the parser doesn't know are errors.
script, arguments, model, data = make_parser().parse_args_and_config(["--config", "trl.yaml"])
trainer = SFTTrainer(
    model=model.model_name_or_path,
    args=arguments,
    train_dataset=get_dataset(data)[script.dataset_train_split],
    peft_config=get_peft_config(model),
)
rows = []
for row in trainer.train_dataset:
    begins = next(k for k, label in enumerate(row["labels"]) if label != -100)
    rows.append([row["input_ids"][:begins], row["input_ids"][begins:]])
print(json.dumps({"rows": rows, "learning_rate": arguments.learning_rate, "seed": arguments.seed}))
