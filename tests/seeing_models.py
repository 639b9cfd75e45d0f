"""Tiny random image-text models, made from their configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inscl.models.names import quiet

__all__ = ["QWEN", "SMOLVLM", "make_qwen", "make_smolvlm"]

QWEN = ("qwen2_vl", "qwen2_5_vl")
SMOLVLM = ("idefics3", "smolvlm")
"""SmolVLM's kinds: the first versions are Idefics 3 and have its processor."""
_SPECIAL = {
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}


def make_qwen(kind: str, tokenizer: Path, folder: Path) -> Path:
    """A Qwen-VL of two layers: patches of 4 x 4 pixels, four of which are a token.

    Args:
        kind: One of `QWEN`, or ``qwen3_vl``.
        tokenizer: A folder with a tokenizer; those tokens are added that stand for pictures.
        folder: Where the model goes.
    """
    import torch
    import transformers
    from transformers import AutoModelForImageTextToText, AutoTokenizer, Qwen2VLImageProcessorPil

    words = AutoTokenizer.from_pretrained(tokenizer)
    words.add_special_tokens({"additional_special_tokens": list(_SPECIAL.values())})
    words.save_pretrained(folder)
    pixels = {"shortest_edge": 64, "longest_edge": 1024}
    Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, size=pixels).save_pretrained(folder)
    text: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": len(words),
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        "eos_token_id": words.eos_token_id,
        "pad_token_id": None,  # its embedding would stay zero, and it is the end of sequence here
        "initializer_range": 0.1,
        "tie_word_embeddings": True,
    }
    sees: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "initializer_range": 0.3}
    if kind == "qwen2_vl":
        sees |= {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2}
    else:
        sees |= {"hidden_size": 16, "out_hidden_size": 32, "intermediate_size": 32}
    if kind == "qwen2_5_vl":
        sees |= {"window_size": 16, "fullatt_block_indexes": [1]}
    if kind == "qwen3_vl":
        sees |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    ids = {name: words.convert_tokens_to_ids(token) for name, token in _SPECIAL.items()}
    config = transformers.AutoConfig.for_model(
        kind, text_config=text, vision_config=sees, tie_word_embeddings=True, **ids
    )
    torch.manual_seed(0)
    with quiet():
        AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    return folder


def make_smolvlm(kind: str, llava: Path, folder: Path) -> Path:
    """A model of two layers that cuts pictures into tiles, each with tokens around it.

    Args:
        kind: One of `SMOLVLM`. Both get the processor of the first: that of the second can't be opened without videos.
        llava: A folder with a tiny LLaVA, whose tokenizer and language model's shape are taken.
        folder: Where the model goes.
    """
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForImageTextToText,
        AutoTokenizer,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    tokenizer = AutoTokenizer.from_pretrained(llava)
    tiles = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    around = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>", *tiles]
    tokenizer.add_special_tokens({"additional_special_tokens": around})
    with quiet():
        pixels = Idefics3ImageProcessor(size={"longest_edge": 16}, max_image_size={"longest_edge": 8})
        template = tokenizer.chat_template
        Idefics3Processor(pixels, tokenizer, image_seq_len=1, chat_template=template).save_pretrained(folder)
    reads = AutoConfig.from_pretrained(llava).text_config
    reads.vocab_size, reads.pad_token_id, reads.tie_word_embeddings = len(tokenizer), tokenizer.pad_token_id, False
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sees = {**small, "image_size": 8, "patch_size": 4, "initializer_range": 0.3}
    placeholder = tokenizer.convert_tokens_to_ids("<image>")
    config = AutoConfig.for_model(
        kind, vision_config=sees, text_config=reads, scale_factor=2, image_token_id=placeholder
    )
    torch.manual_seed(0)
    with quiet():
        AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    return folder
