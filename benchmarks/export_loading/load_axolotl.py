"""Load an export as ``axolotl train`` does: ``python load_axolotl.py FOLDER``; one JSON line at the end."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import yaml
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_datasets
from axolotl.utils.schemas.config import AxolotlInputConfig

if __name__ == "__main__":
    os.chdir(sys.argv[1])
    given = yaml.safe_load(Path("axolotl.yaml").read_text(encoding="utf-8"))
    unknown = sorted(set(given) - set(AxolotlInputConfig.model_fields))  # Axolotl itself lets them pass
    if unknown:
        raise SystemExit(f"unknown keys: {unknown}")
    settings = load_cfg("axolotl.yaml")
    rows = []
    for row in load_datasets(cfg=settings).train_dataset:
        begins = next(k for k, label in enumerate(row["labels"]) if label != -100)
        rows.append([row["input_ids"][:begins], row["input_ids"][begins:]])
    print(json.dumps({"rows": rows, "learning_rate": settings.learning_rate, "seed": settings.seed}))
