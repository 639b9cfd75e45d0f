"""What frozen lower layers make of a text, computed once and kept: only the layers above them are run from then on.

Where an adapter changes upper layers alone (LoRA with ``layers_to_transform``), the states that enter the first adapted
layer depend on a text and on weights that never change. They are the same in every epoch, at every stage that replays
the text, and at every evaluation. Loss and gradients are those of the whole model but for rounding.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from inscl.models.batches import pad, understood
from inscl.models.modes import evaluating
from inscl.models.packed_attention import packed_attention
from inscl.models.packed_reading import reads_packed
from inscl.models.prompts import Encoded
from inscl.models.shared_packing import SharedRow
from inscl.models.threads import hooked, in_parallel

__all__ = ["Given", "LowerStates", "above_frozen", "as_it_is", "attach"]

Given = Callable[[Mapping[str, Any], Sequence[Sequence[int]]], dict[str, Any]]

_attached: WeakKeyDictionary[Any, LowerStates] = WeakKeyDictionary()
_AT_ONCE = 32


class LowerStates:
    """States by text, the least recently used dropped first.

    Args:
        most: Most bytes that are kept.
        note: Told once if a model doesn't allow it, with the reason.

    Attributes:
        computed: Tokens that went through the lower layers so far.
        found: Tokens whose states were there already.
    """

    def __init__(self, most: int, note: Callable[[str], None] = lambda message: None) -> None:
        self.most, self.note = most, note
        self.computed = self.found = 0
        self._kept: OrderedDict[bytes, Any] = OrderedDict()
        self._bytes = 0
        self._cuts: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def cut(self, network: Any) -> int:
        """How many lower layers of a network are left out, 0 where that isn't possible; found out once for each."""
        if network not in self._cuts:
            count, reason = _frozen(network)
            if count and not _exact(network, count):
                count, reason = 0, "it doesn't take states in place of tokens"
            if not count:
                self.note(f"no lower layers' states are kept, since {reason}: every layer is run each time")
            self._cuts[network] = count
        return self._cuts[network]

    def states(self, network: Any, texts: Sequence[Sequence[int]], count: int) -> list[Any]:
        """What enters layer `count` of each text, tensors of shape (tokens, hidden size), in order."""
        names = [_name(text) for text in texts]
        found = {name: self._kept[name] for name in names if name in self._kept}
        missing = {name: list(text) for name, text in zip(names, texts, strict=True) if name not in found}
        made = dict(zip(missing, _read(network, list(missing.values()), count), strict=True))
        self.computed += sum(map(len, missing.values()))
        self.found += sum(len(text) for name, text in zip(names, texts, strict=True) if name in found)
        for name in dict.fromkeys(names):
            self._keep(name, found[name] if name in found else made[name])
        return [found[name] if name in found else made[name] for name in names]

    def _keep(self, name: bytes, states: Any) -> None:
        if name in self._kept:
            self._kept.move_to_end(name)
            return
        self._kept[name] = states
        self._bytes += states.numel() * states.element_size()
        while self._bytes > self.most:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.numel() * dropped.element_size()


def attach(network: Any, lower: LowerStates) -> None:
    """Have `above_frozen` keep a network's lower states in `lower`, which must have known this model alone."""
    _attached[network] = lower


def as_it_is(batch: Mapping[str, Any], _: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A batch as the whole network takes it."""
    return dict(batch)


@contextmanager
def above_frozen(network: Any, texts: Sequence[Sequence[int]]) -> Iterator[Given]:
    """Within this block a network's frozen lower layers do nothing, if they are known; nothing changes otherwise.

    Gives a function that turns a batch, with the texts that it was made of, into what the network must be called with
    here. It may be called on several threads, for texts of `texts` alone.

    Args:
        network: A PEFT model around a causal language model.
        texts: Token ids of everything that is read within the block.
    """
    lower = _attached.get(network)
    count = lower.cut(network) if lower is not None else 0
    if lower is None or not count:
        yield as_it_is
        return
    known = dict(zip(map(_name, texts), lower.states(network, texts, count), strict=True))

    def given(batch: Mapping[str, Any], own: Sequence[Sequence[int]]) -> dict[str, Any]:
        rest = {name: value for name, value in batch.items() if name != "input_ids"}
        return {**rest, "inputs_embeds": _placed(batch, own, [known[_name(text)] for text in own])}

    with _skipped(_layers(network)[:count]):
        yield given


class _Reached(Exception):
    """The lower layers are done."""

    def __init__(self, states: Any) -> None:
        self.states = states


def _read(network: Any, texts: Sequence[list[int]], count: int) -> list[Any]:
    """What enters layer `count`, text by text; nothing above it is run.

    On a CPU each text is read alone, on a thread of its own, so that its states don't depend on what is read with it:
    a stage that is interrupted goes on to the same result, bit for bit.
    """
    import torch

    def reached(states: Any, *_: Any, **__: Any) -> Any:
        raise _Reached(states)

    def through(batch: Mapping[str, Any]) -> Any:
        here = {name: value.to(network.device) if hasattr(value, "to") else value for name, value in batch.items()}
        try:
            network(**here)
        except _Reached as end:
            return end.states.detach()
        raise AssertionError("the network has no such layer")

    packed = reads_packed(network)
    # States that are made in an evaluation must do for training, too: no inference mode.
    inference = torch.inference_mode(False)
    with evaluating(network), inference, torch.no_grad(), _forward_of(_layers(network)[count], reached):
        return _alone(network, texts, through) if packed else _together(network, texts, through)


def _alone(network: Any, texts: Sequence[list[int]], through: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """Each text in a row of its own, as many at once as there are threads, each with one thread."""
    import torch

    threads = 1 if hooked(network) else torch.get_num_threads()
    found: list[Any] = []
    with packed_attention(network):
        for start in range(0, len(texts), threads):
            own = texts[start : start + threads]
            pieces: list[Callable[[], Any]] = [partial(through, _row(text)) for text in own]
            # So that the last of them have one thread each, too.
            pieces += [_nothing] * (threads - len(pieces))
            found += [states[0] for states in in_parallel(pieces)[: len(own)]]
    return found


def _together(network: Any, texts: Sequence[list[int]], through: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """Texts of similar length in batches, padded on the left."""
    found: dict[int, Any] = {}
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    for start in range(0, len(order), _AT_ONCE):
        places = order[start : start + _AT_ONCE]
        states = through(_padded(network, [texts[k] for k in places]))
        found.update({k: states[row, -len(texts[k]) :].clone() for row, k in enumerate(places)})
    return [found[k] for k in range(len(texts))]


def _row(text: Sequence[int]) -> dict[str, Any]:
    return {**SharedRow.of([text]).inputs(), "use_cache": False}


def _padded(network: Any, texts: Sequence[list[int]]) -> dict[str, Any]:
    batch = understood(network, pad([Encoded(text, len(text) - 1) for text in texts], 0))
    return {name: value for name, value in batch.items() if name != "labels"}


def _nothing() -> None:
    """What a thread does that has no text."""


def _placed(batch: Mapping[str, Any], texts: Sequence[Sequence[int]], states: Sequence[Any]) -> Any:
    """States where the batch has their tokens: padded on the left, packed, or with shared beginnings."""
    import torch

    if "packed_pieces" in batch:
        found = states[0].new_zeros(*batch["input_ids"].shape, states[0].shape[-1])
        for path, own in zip(SharedRow.of(texts).paths, states, strict=True):
            found[0, path] = own
        return found
    if "cu_seq_lens_q" in batch:
        return torch.cat(list(states))[None]
    found = states[0].new_zeros(*batch["input_ids"].shape, states[0].shape[-1])
    for row, own in enumerate(states):
        found[row, -len(own) :] = own
    return found


def _layers(network: Any) -> Any:
    """The decoder layers, first to last; None where they aren't found."""
    bare = network.get_base_model() if hasattr(network, "peft_config") else network
    count = getattr(bare.config.get_text_config(), "num_hidden_layers", None)
    lists = [one for one in bare.base_model.children() if type(one).__name__ == "ModuleList" and len(one) == count]
    return lists[0] if len(lists) == 1 else None


def _frozen(network: Any) -> tuple[int, str]:
    """How many of the first layers nothing trains or adapts, and why there are none."""
    import torch

    if not hasattr(network, "peft_config"):
        return 0, "all weights are trained"
    layers = _layers(network)
    if layers is None:
        return 0, "its layers aren't a plain list"
    if any(getattr(module, "gradient_checkpointing", False) for module in network.modules()):
        return 0, "gradient checkpointing is on"

    def changes(module: Any) -> bool:
        return any(weight.requires_grad or "lora_" in name for name, weight in module.named_parameters())

    if changes(network.get_input_embeddings()):
        return 0, "the embeddings are trained"
    count = next((number for number, layer in enumerate(layers) if changes(layer)), 0)
    if not count:
        return 0, "the first layer is adapted"
    dropped = [one.p for layer in layers[:count] for one in layer.modules() if isinstance(one, torch.nn.Dropout)]
    rates = [getattr(network.config, name, 0) or 0 for name in ("attention_dropout", "hidden_dropout", "resid_pdrop")]
    if any(dropped) or any(rates):
        return 0, "the model has dropout"
    return count, ""


def _exact(network: Any, count: int) -> bool:
    """Whether the upper layers give the same for states as the whole network does for tokens."""
    import torch

    text, packed = [1, 2, 3, 4, 5], reads_packed(network)
    try:
        with evaluating(network), torch.no_grad(), packed_attention(network) if packed else nullcontext():
            batch = _row(text) if packed else _padded(network, [text])
            here = {name: value.to(network.device) if hasattr(value, "to") else value for name, value in batch.items()}
            whole = network(**here).logits.float()
            states = _placed(here, [text], _read(network, [text], count))
            with _skipped(_layers(network)[:count]):
                above = network(**{**here, "input_ids": None, "inputs_embeds": states}).logits.float()
    except (TypeError, ValueError, AssertionError, IndexError, RuntimeError):
        return False
    return bool(torch.allclose(whole, above, rtol=1e-2, atol=1e-2))


@contextmanager
def _skipped(layers: Sequence[Any]) -> Iterator[None]:
    """Within this block each of the layers gives what it gets; afterwards as before."""

    def same(states: Any, *_: Any, **__: Any) -> Any:
        return states

    changed = [layer for layer in layers if "forward" not in vars(layer)]
    for layer in changed:
        layer.forward = same
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward


@contextmanager
def _forward_of(layer: Any, forward: Callable[..., Any]) -> Iterator[None]:
    before = vars(layer).get("forward")
    layer.forward = forward
    try:
        yield
    finally:
        if before is None:
            del layer.forward
        else:
            layer.forward = before


def _name(text: Sequence[int]) -> bytes:
    return hashlib.blake2b(b"".join(int(token).to_bytes(8, "little") for token in text), digest_size=16).digest()
