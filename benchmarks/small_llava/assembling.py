"""An encoder and a language model put together as a LLaVA of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inscl.models.names import quiet
from inscl.models.picture_tokens import PictureTokens, read_pictures

TOKEN = "<image>"
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Of ImageNet's colours, which the encoder was trained with."""


def assembled(vision: Any, language: Path, edge: int, folder: Path) -> tuple[Any, PictureTokens]:
    """A network that reads pictures, with a random projector, and its processor, both described in `folder`.

    A picture is drawn on `edge` x `edge` pixels; its vectors are those after the encoder's last layer, that of the CLS
    token among them.

    Args:
        vision: A vision model of transformers whose configuration has ``patch_size``.
        language: A folder with a causal language model of transformers.
        edge: Pixels.
        folder: Where the processor and the network's configuration go.
    """
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        BitImageProcessor,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = AutoTokenizer.from_pretrained(language)
    tokenizer.add_special_tokens({"additional_special_tokens": [TOKEN]})
    size, patch = {"height": edge, "width": edge}, vision.config.patch_size
    with quiet():
        sees = BitImageProcessor(size=size, do_center_crop=False, image_mean=MEAN, image_std=DEVIATION)
        LlavaProcessor(
            sees,
            tokenizer,
            patch_size=patch,
            vision_feature_select_strategy="full",
            image_token=TOKEN,
            num_additional_image_tokens=1,
            chat_template=tokenizer.chat_template,
        ).save_pretrained(folder)
        reads = AutoModelForCausalLM.from_pretrained(language, dtype="float32")
        if len(tokenizer) > reads.config.vocab_size:
            reads.resize_token_embeddings(len(tokenizer))
        config = LlavaConfig(
            vision_config=vision.config,
            text_config=reads.config,
            image_token_index=tokenizer.convert_tokens_to_ids(TOKEN),
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            image_seq_length=(edge // patch) ** 2 + 1,
            tie_word_embeddings=reads.config.tie_word_embeddings,
        )
        network = LlavaForConditionalGeneration(config)
        network.model.vision_tower = vision
        network.model.language_model.load_state_dict(reads.get_decoder().state_dict())
        network.lm_head.load_state_dict(reads.get_output_embeddings().state_dict())
        network.generation_config = reads.generation_config
    network.config.save_pretrained(folder)
    tokens = PictureTokens(folder)
    read_pictures(network.eval(), tokens)
    return network, tokens
