"""The same adapter is the same bytes, whatever order a process has its sets in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SAVE = """
import sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM
from inscl.models.adapters.files import save_adapter
from inscl.models.adapters.lora import LoRA
torch.manual_seed(0)
save_adapter(LoRA().wrap(AutoModelForCausalLM.from_pretrained(sys.argv[1]), "base"), Path(sys.argv[2]))
"""


def test_two_processes_write_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    found = []
    for seed in ("1", "2", "3"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", SAVE, str(tiny_model), str(folder)], check=True, env=environment)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 2
