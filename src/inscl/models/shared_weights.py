"""Base weights in memory, once per process: several parts read them, and at most one trains an adapter on them.

Nothing is kept for its own sake: weights are forgotten with the last part that holds them.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.errors import MissingExtraError, ModelError
from inscl.models import names as model_names
from inscl.models.picture_tokens import PictureTokens, read_pictures, sees_pictures

__all__ = ["Weights", "borrow", "in_float32", "load", "network_in", "stored_as_bf16", "take"]


@dataclass(eq=False)
class Weights:
    """One set of weights in memory.

    Attributes:
        folder: Where they came from.
        device: Where they lie.
        network: The causal language model of transformers.
        bf16: Whether they are held in bf16; float32 otherwise.
        exact: Whether the stored ones are bf16, so that neither format changes them.
        intact: Whether the network still is as it was stored, adapters apart; what trains or merges into it says no.
        adapted: The PEFT model around `network` while there is an adapter on it.
        owner: Who may put adapters on it; None or dead where nobody does.
    """

    folder: Path
    device: str
    network: Any
    bf16: bool
    exact: bool
    intact: bool = True
    adapted: Any = None
    owner: weakref.ref[Any] | None = None

    def serve(self, bf16: bool) -> bool:
        """Whether the model as it came can be read from here, in bf16 or exactly in float32."""
        return self.intact and (self.bf16 == bf16 or (self.exact and not bf16))

    def base(self, bf16: bool) -> AbstractContextManager[Any]:
        """The context in which forward passes are those of the model as it came: adapters off, in the format wanted."""
        return _base(self, bf16)

    def convert(self, bf16: bool) -> None:
        """Change the format in place; only for `exact` weights, which lose nothing by it."""
        import torch

        before, after = (torch.float32, torch.bfloat16) if bf16 else (torch.bfloat16, torch.float32)
        for weight in self.network.parameters():
            if weight.dtype == before:
                weight.data = weight.data.to(after)
        self.network.config.dtype, self.bf16 = after, bf16

    def clear(self) -> None:
        """Take off what a former owner left: its adapter, and what it froze."""
        if self.adapted is not None:
            self.network, self.adapted = self.adapted.unload(), None
        self.network.requires_grad_(True)
        with model_names.quiet():  # transformers 5 warns that it will give checkpointing another name
            if getattr(self.network, "is_gradient_checkpointing", False):
                self.network.gradient_checkpointing_disable()


_in_memory: weakref.WeakSet[Weights] = weakref.WeakSet()
_lock = threading.RLock()


def borrow(folder: Path, device: str, bf16: bool, compact: bool = False) -> Weights:
    """Weights for reading the model as it came: those already in memory, even if a learner trains on them, or new ones.

    If `compact`, new ones that are stored in bf16 are held so, and `in_float32` reads them where bf16 isn't wanted.
    """
    with _lock:
        for weights in _of(folder, device):
            if weights.serve(bf16):
                return weights
        return _loaded(folder, device, bf16 or (compact and stored_as_bf16(folder)))


def take(folder: Path, device: str, bf16: bool, owner: Any) -> Weights:
    """Weights for teaching, held in this format: those in memory that nobody else teaches, or new ones."""
    with _lock:
        for weights in _of(folder, device):
            free = weights.owner is None or weights.owner() in (None, owner)
            if not free or not weights.intact or not (weights.bf16 == bf16 or weights.exact):
                continue
            weights.clear()
            if weights.bf16 != bf16:
                weights.convert(bf16)
            break
        else:
            weights = _loaded(folder, device, bf16)
        weights.owner = weakref.ref(owner)
        return weights


def load(kind: str, folder: Path, **settings: Any) -> Any:
    """A tokenizer or model of transformers from a local folder; code in the folder is run where that is allowed.

    Raises:
        MissingExtraError: transformers isn't installed.
        ModelError: The folder can't be read as one.
    """
    try:
        import transformers
        from safetensors import SafetensorError
    except ImportError as error:
        raise MissingExtraError("a language model", "train", error.name) from error
    try:
        with model_names.quiet():
            trusted = model_names.allowed(folder)
            return getattr(transformers, kind).from_pretrained(folder, trust_remote_code=trusted, **settings)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"transformers can't load the model in {folder}: {reason}") from error


def network_in(folder: Path, dtype: Any, device: str, processor: Path | None = None) -> Any:
    """The causal language model in a folder, or the image-text model, which then reads the tokens of pictures.

    Args:
        folder: With configuration and weights.
        dtype: In which the weights are held.
        device: Where they lie.
        processor: The folder with an image-text model's processor; None takes the same.

    Raises:
        ModelError: The folder can't be read as one, or its model sees in a way that isn't supported.
    """
    if not sees_pictures(folder):
        return load("AutoModelForCausalLM", folder, dtype=dtype).to(device)
    network = load("AutoModelForImageTextToText", folder, dtype=dtype).to(device)
    read_pictures(network, PictureTokens(processor or folder))
    return network


def stored_as_bf16(folder: Path) -> bool:
    """Whether every weight in a model's folder is stored in bf16, so that holding it in bf16 rounds nothing."""
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    try:
        for file in files:
            with safe_open(file, framework="pt") as stored:
                if any(stored.get_slice(name).get_dtype() != "BF16" for name in stored.keys()):  # noqa: SIM118 - no mapping
                    return False
    except (OSError, SafetensorError):  # loading them says what is wrong
        return False
    return bool(files)


@contextmanager
def in_float32(network: Any) -> Iterator[None]:
    """Within this block bf16 weights compute in float32: each module's own are widened while it runs, and put back.

    Widening is exact, so this gives what the model loaded in float32 gives, without a second set of weights.
    """
    import torch

    kept: dict[Any, list[tuple[Any, Any]]] = {}

    def widen(module: Any, _: Any) -> None:
        narrow = [weight for weight in module.parameters(recurse=False) if weight.dtype == torch.bfloat16]
        kept[module] = [(weight, weight.data) for weight in narrow]
        with torch.inference_mode(False), torch.no_grad():
            for weight, data in kept[module]:
                weight.data = data.float()

    def restore(module: Any, *_: Any) -> None:
        for weight, data in kept.pop(module, ()):
            weight.data = data

    own = [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]
    handles = [module.register_forward_pre_hook(widen) for module in own]
    handles += [module.register_forward_hook(restore) for module in own]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in list(kept):
            restore(module)


@contextmanager
def _base(weights: Weights, bf16: bool) -> Iterator[None]:
    off = nullcontext() if weights.adapted is None else weights.adapted.disable_adapter()
    widened = in_float32(weights.network) if weights.bf16 and not bf16 else nullcontext()
    with off, widened:
        yield


def _of(folder: Path, device: str) -> list[Weights]:
    return [one for one in _in_memory if (one.folder, one.device) == (folder, device)]


def _loaded(folder: Path, device: str, bf16: bool) -> Weights:
    import torch

    network = network_in(folder, torch.bfloat16 if bf16 else torch.float32, device)
    # What an image-text model makes of a picture is kept, so that its weights are never held in another format.
    exact = stored_as_bf16(folder) and not sees_pictures(folder)
    weights = Weights(folder, device, network, bf16, exact)
    _in_memory.add(weights)
    return weights
