"""The processes that train one model together, as torch.distributed knows them: how many, and sums over them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["gathered", "number_of_ranks", "same_chance", "summed", "this_rank"]


def number_of_ranks() -> int:
    """How many processes train together; 1 where this one is alone."""
    import torch.distributed as distributed

    return int(distributed.get_world_size()) if distributed.is_available() and distributed.is_initialized() else 1


def this_rank() -> int:
    """The number of this process among those that train together, from 0."""
    import torch.distributed as distributed

    return int(distributed.get_rank()) if number_of_ranks() > 1 else 0


def summed(values: Sequence[float]) -> list[float]:
    """The sum of each value over all ranks; every rank must call it."""
    import torch
    import torch.distributed as distributed

    if number_of_ranks() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=_device())
    distributed.all_reduce(total)
    return [float(one) for one in total]


def gathered(value: Any) -> list[Any]:
    """A JSON value of every rank, by rank; every rank must call it."""
    import torch
    import torch.distributed as distributed

    ranks = number_of_ranks()
    if ranks == 1:
        return [value]
    data = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8, device=_device())
    length = torch.tensor([len(data)], device=_device())
    lengths = [torch.zeros_like(length) for _ in range(ranks)]
    distributed.all_gather(lengths, length)
    most = max(int(one) for one in lengths)
    padded = torch.zeros(most, dtype=torch.uint8, device=_device())
    padded[: len(data)] = data
    found = [torch.zeros_like(padded) for _ in range(ranks)]
    distributed.all_gather(found, padded)
    return [json.loads(bytes(one[: int(n)].tolist())) for one, n in zip(found, lengths, strict=True)]


def same_chance() -> None:
    """Give every rank the state of rank 0's generator, so that all draw the same order of examples."""
    import torch
    import torch.distributed as distributed

    if number_of_ranks() == 1:
        return
    state = torch.random.get_rng_state().to(_device())
    distributed.broadcast(state, 0)
    torch.random.set_rng_state(state.cpu())


def _device() -> Any:
    """Where the tensors of a collective have to be."""
    import torch
    import torch.distributed as distributed

    on_gpu = "nccl" in str(distributed.get_backend())
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
