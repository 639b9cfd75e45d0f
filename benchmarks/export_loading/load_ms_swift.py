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
rows = []
for row in pipeline._prepare_dataset()[0]:
    begins = next(k for k, label in enumerate(row["labels"]) if label != -100)
    ids = list(row["input_ids"])
    rows.append([ids[:begins], ids[begins:]])
print(json.dumps({"rows": rows, "learning_rate": pipeline.args.learning_rate, "seed": pipeline.args.seed}))
