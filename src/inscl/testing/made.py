"""Made-up tasks, vectors, tags and a tiny random model: what the checks and tests of components are fed with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Task

__all__ = ["fake_embedder", "fake_tagger", "made_task", "tiny_model"]


def made_task(name: str, train: int, instructions: int = 3, test: int = 1) -> Task:
    """A task of made-up examples whose instructions differ in how often they occur."""

    def example(k: int, split: str) -> Example:
        words = f"do the {name} job in way {min(k % (instructions * 2), instructions - 1)}"
        return Example(words, f"{split} input {k} of {name}", (f"answer {k}",), name)

    return Task(name, tuple(example(k, "train") for k in range(train)), tuple(example(k, "test") for k in range(test)))


def fake_embedder(texts: list[str]) -> NDArray[np.float32]:
    """Vectors from the texts' letters, shape (n, 26), float32: near texts get near vectors."""
    counts = [[1 + text.lower().count(chr(97 + k)) for k in range(26)] for text in texts]
    return np.asarray(counts, dtype=np.float32).reshape(len(texts), 26)


def fake_tagger(instructions: list[str]) -> list[list[str]]:
    """Every word is a tag."""
    return [text.lower().split() for text in instructions]


def tiny_model() -> Any:
    """A Llama of one layer and 16 tokens with random weights, the same each time; a model of transformers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=16, max_position_embeddings=32, initializer_range=0.3, **sizes))
