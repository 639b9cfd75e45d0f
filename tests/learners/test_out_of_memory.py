from __future__ import annotations

import pytest

from inscl.errors import ModelError
from inscl.learners.out_of_memory import memory_enough


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_it_names_the_setting_to_lower(error: Exception) -> None:
    told = r"out of memory while training .*: lower training\.batch_size"
    with pytest.raises(ModelError, match=told), memory_enough("training", "training.batch_size"):
        raise error


def test_another_fault_passes_through() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_enough("training", "training.batch_size"):
        raise RuntimeError("shapes cannot be multiplied")


def test_torch_itself_is_understood() -> None:
    import torch

    told = "out of memory while answering"
    with pytest.raises(ModelError, match=told), memory_enough("answering", "evaluation.batch_size"):
        torch.empty(2**60, dtype=torch.uint8)
