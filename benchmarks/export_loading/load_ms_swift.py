"""Load an export as ``swift sft`` does: ``python load_ms_swift.py FOLDER``; one JSON line at the end."""

from __future__ import annotations

import json
import os
import sys

os.chdir(sys.argv[1])
arguments = ["ms_swift.yaml"]
from swift.cli.main import parse_yaml_args  # noqa: E402

parse_yaml_args(arguments)
from swift.pipelines import SwiftSft  # noqa: E402

# Keys that the parser doesn't know are errors.
pipeline = SwiftSft(arguments)
rows, seen = [], []
for row in pipeline._prepare_dataset()[0]:
    begins = next(k for k, label in enumerate(row["labels"]) if label != -100)
    ids = list(row["input_ids"])
    rows.append([ids[:begins], ids[begins:]])
    seen.append(len(row["pixel_values"]) if row.get("pixel_values") is not None else 0)
told = {"rows": rows, "learning_rate": pipeline.args.learning_rate, "seed": pipeline.args.seed}
if any(seen):
    tokenizer = pipeline.template.tokenizer
    token = tokenizer.convert_tokens_to_ids(pipeline.template.processor.image_token)
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
