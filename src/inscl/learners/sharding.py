"""Weights in shards while a stage trains (FSDP2): each process holds its part of weights, gradients and moments.

Accelerate shards a copy of the network for Trainer. The network itself, which is asked and saved, gives up its weights
when training begins and has them whole again when it ends, so that everything else knows nothing of shards. Whole
weights have to fit on each device between stages; gradients and the optimiser's moments, three times as much in float32
for AdamW, are never whole anywhere.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inscl.errors import ConfigError, Problem
from inscl.models.ranks import number_of_ranks

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["Sharding", "sharded_training", "sharding_problems"]


def sharded_training(hf_args: Mapping[str, Any]) -> bool:
    """Whether ``hf_args`` or the launcher asks for weights in shards."""
    return bool(hf_args.get("fsdp")) or os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def sharding_problems(hf_args: Mapping[str, Any], unsuited: Sequence[tuple[str, str]]) -> list[Problem]:
    """What doesn't go together with weights in shards; nothing where none are wanted.

    Args:
        hf_args: As in a configuration.
        unsuited: What else is wanted that reads or moves whole weights while a stage trains: key, and what to do.
    """
    if not sharded_training(hf_args):
        return []
    key = "training.hf_args.fsdp"
    problems = [Problem(key, f"{where} doesn't work on weights in shards: {advice}") for where, advice in unsuited]
    return problems + [Problem("training.hf_args.fsdp_config", said) for said in _unsupported(hf_args)]


def _unsupported(hf_args: Mapping[str, Any]) -> list[str]:
    settings = hf_args.get("fsdp_config") or {}
    if not isinstance(settings, Mapping):
        return ["write its fields here instead of the path of a file"]
    given = {name.removeprefix("fsdp_"): value for name, value in settings.items()}
    said = [] if str(given.get("version", 2)) == "2" else [f"version {given['version']} isn't supported: use 2"]
    return said + (["xla isn't supported: leave it out"] if given.get("xla") else [])


class Sharding:
    """A network whose copy is trained in shards.

    Args:
        network: The whole model of transformers, in float32 and the same on every process.
        bf16: Whether shards are gathered and computed with in bfloat16; sums of gradients are float32 either way.
    """

    def __init__(self, network: Any, bf16: bool) -> None:
        self._network, self._bf16 = network, bf16
        tensors = itertools.chain(network.parameters(), network.buffers())
        # The copy has the same tensors until accelerate puts shards in their place.
        self.copy = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})

    def prepare(self, arguments: Any) -> None:
        """Have accelerate shard what a Trainer with these ``TrainingArguments`` trains.

        What the user chose, in ``fsdp_config`` or for ``accelerate launch``, stays: offloading, layers, checkpointing.

        Raises:
            ConfigError: This process is alone.
        """
        if number_of_ranks() == 1:
            said = "shards weights among processes: start the command with torchrun or accelerate launch"
            raise ConfigError([Problem("training.hf_args.fsdp", said)])
        import torch
        from accelerate import Accelerator, PartialState
        from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
        from torch.distributed.fsdp import MixedPrecisionPolicy

        mixed = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        fixed: dict[str, Any] = {"fsdp_version": 2, "state_dict_type": "FULL_STATE_DICT"}
        # Every process asks the whole model, so every one loads it.
        fixed["cpu_ram_efficient_loading"] = False
        if self._bf16:
            fixed["mixed_precision_policy"] = mixed
        # Layer by layer, as transformers does; accelerate by itself would gather the whole model at once.
        layers = os.environ.get("FSDP_AUTO_WRAP_POLICY") or "TRANSFORMER_BASED_WRAP"
        chosen = arguments.fsdp_plugin_args or {"auto_wrap_policy": layers}
        plugin = FullyShardedDataParallelPlugin(**{**chosen, **fixed})
        precision = arguments.mixed_precision
        state = Accelerator(cpu=arguments.use_cpu, mixed_precision=precision, fsdp_plugin=plugin).state
        # Trainer's own Accelerator has the same state. Accelerate by itself shards on accelerators alone.
        PartialState().distributed_type = state.distributed_type = DistributedType.FSDP
        state.fsdp_plugin = plugin

    def callback(self) -> TrainerCallback:
        """Gives up the network's own weights once the copy has its shards."""
        from transformers import TrainerCallback

        network = self._network

        class Release(TrainerCallback):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                for weight in network.parameters():
                    weight.data = weight.data.new_empty(0)

        return Release()

    def gather(self) -> None:
        """Give the network the weights that its copy has learned, whole; every process must call it."""
        import torch
        from accelerate.utils.fsdp_utils import fsdp2_canonicalize_names

        with torch.no_grad():
            # Checkpointed layers have a wrapper, which is part of their names.
            trained = fsdp2_canonicalize_names(dict(self.copy.named_parameters()))
            for name, weight in self._network.named_parameters():
                weight.data = _whole(trained[name], weight.device)


def _whole(weight: Any, device: Any) -> Any:
    """A weight of which each process has a shard."""
    found = weight.detach()
    return found.to(device).full_tensor() if hasattr(found, "full_tensor") else found.to(device)
