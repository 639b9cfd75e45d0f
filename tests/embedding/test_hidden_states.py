"""Mean-pooled hidden states against a plain loop over a tiny random model."""

import numpy as np
import pytest

from inscl.embedding.hidden_states import ModelEmbedder
from inscl.errors import ModelError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["a", "translate the sentence", "", "b a", "sort these words by length and then sort them again by sound", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random two-layer Llama in bf16 with a tokenizer of single characters, and no beginning-of-text token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    where = tmp_path_factory.mktemp("tiny-llama")
    characters = {"<unk>": 0, "<end>": 1, **{c: k for k, c in enumerate("abcdefghijklmnopqrstuvwxyz ", start=2)}}
    tokenizer = Tokenizer(models.WordLevel(characters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>")
    fast.save_pretrained(where)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(characters),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=1,
    )
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(where)
    return str(where)


def one_by_one(folder, texts):
    """The definition, without batches or padding."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in texts:
        tokens = tokenizer(text)["input_ids"] or [tokenizer.eos_token_id]
        with torch.no_grad():
            rows.append(model(torch.tensor([tokens])).last_hidden_state[0].mean(dim=0).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_it_is_the_mean_of_the_last_hidden_states_whatever_the_batch(folder, batch_size):
    vectors = ModelEmbedder(folder, batch_size=batch_size)(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((6, 16), np.float32)
    np.testing.assert_allclose(vectors, one_by_one(folder, TEXTS), atol=1e-4)


def test_max_length_cuts_the_text(folder):
    cut = ModelEmbedder(folder, max_length=3)(["sort these", "sor"])
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-5)
    assert not np.allclose(*ModelEmbedder(folder)(["sort these", "sor"]), atol=1e-2)


def test_no_texts_load_no_model():
    assert ModelEmbedder("/nowhere/at/all")([]).shape == (0, 0)


def test_any_unicode(folder):
    assert np.isfinite(ModelEmbedder(folder)(["lone \ud800", "🙂", "\0", "\u202e"])).all()


def test_the_fingerprint_follows_content_and_length_not_place(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    original = ModelEmbedder(folder).fingerprint
    assert original.startswith("mean-pooled:512:")
    assert ModelEmbedder(str(copy), batch_size=3).fingerprint == original
    assert ModelEmbedder(folder, max_length=8).fingerprint != original
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert ModelEmbedder(str(copy)).fingerprint != original


def test_a_model_that_is_not_there_or_damaged_is_one_message(folder, tmp_path):
    with pytest.raises(ModelError, match="no model folder"):
        ModelEmbedder("/nowhere/at/all")(["a"])
    import shutil

    copy = tmp_path / "damaged"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"can't load the model .*damaged") as caught:
        ModelEmbedder(str(copy))(["a"])
    assert "\n" not in str(caught.value)
