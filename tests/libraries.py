"""The libraries that training, planning and scoring load when they are first used."""

from __future__ import annotations

from importlib import import_module

__all__ = ["load_libraries"]

LIBRARIES = (
    "torch",
    "sklearn.cluster",
    "ot",
    "lance",
    "datasets",
    "peft",
    "rouge_score.rouge_scorer",
    "safetensors.torch",
    "jinja2",
    "simplemma",
)
# transformers loads a part of it when its name is asked for.
PARTS = (
    "AutoModelForCausalLM",
    "AutoTokenizer",
    "DynamicCache",
    "LlamaForCausalLM",
    "PreTrainedTokenizerFast",
    "Trainer",
)


def load_libraries() -> None:
    """Import them all."""
    for name in LIBRARIES:
        import_module(name)
    transformers = import_module("transformers")
    for part in PARTS:
        getattr(transformers, part)
