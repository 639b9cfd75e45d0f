"""Models with their own code: detected before anything is loaded, and refused unless the user allowed them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inscl.errors import ModelError

__all__ = ["ALLOWED", "allowed", "check_code", "pickled_weights"]

ALLOWED = "INSCL_ALLOW_MODEL_CODE"
"""The environment variable that names models whose code may run: folders or hub ids, with `os.pathsep` between.

Not a setting: a configuration that somebody sent could give itself the permission.
"""

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")


def allowed(folder: Path) -> bool:
    """Whether `ALLOWED` names this folder, or the hub id that it is a snapshot of."""
    named = [name for name in os.environ.get(ALLOWED, "").split(os.pathsep) if name]
    snapshots = {f"models--{name.replace('/', '--')}" for name in named}
    return any(Path(name).expanduser().resolve() == folder.resolve() for name in named) or bool(
        snapshots & set(folder.resolve().parts)
    )


def check_code(folder: Path) -> None:
    """Look for what would run code from a model's folder.

    That is ``auto_map`` in one of its JSON files, by which transformers imports modules that lie beside the weights,
    and in a sentence encoder a module in ``modules.json`` that isn't sentence-transformers' own or has pickled weights.

    Raises:
        ModelError: It brings code and isn't allowed to, or a JSON file is damaged.
    """
    if allowed(folder):
        return
    found = next(_code(folder), None)
    if found:
        raise ModelError(
            f"{folder} brings code of its own ({found}), which is not run. Use a model that needs none; or read the "
            f"code, and if you trust it, set {ALLOWED} to this folder or to the model's hub id"
        )


def pickled_weights(folder: Path) -> list[Path]:
    """Files of weights whose format can hold code."""
    return sorted(path for pattern in _PICKLED for path in folder.glob(pattern))


def _code(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*config.json")):
        if _mapped(_read(file)):
            yield f"auto_map in {file.name}"
    modules = _read(folder / "modules.json") if (folder / "modules.json").is_file() else []
    for module in modules if isinstance(modules, list) else []:
        kind = module.get("type") if isinstance(module, dict) else None
        if not isinstance(kind, str) or not kind.startswith("sentence_transformers."):
            yield f"the module {str(kind)[:80]!r} in modules.json"
    for part in sorted(path for path in folder.glob("*/") if path.is_dir()):
        if pickled_weights(part) and not any(part.glob("*.safetensors")) and isinstance(modules, list) and modules:
            yield f"pickled weights {part.name}/{pickled_weights(part)[0].name}"


def _mapped(value: Any) -> bool:
    """Whether a value holds a key ``auto_map`` at any depth: configurations of composed models hold others."""
    level = [value]
    while level:
        inner = level.pop()
        if isinstance(inner, dict) and inner.get("auto_map"):
            return True
        level.extend(inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ())
    return False


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} can't be read as JSON: {error}; get the model again") from error
