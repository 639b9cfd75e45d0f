from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.models.test_decoding import alone
from tests.models.test_likelihoods import assert_same, plainly

from inscl.models.decoding import generate_greedily
from inscl.models.likelihoods import log_likelihoods
from inscl.models.packed_reading import reads_packed
from inscl.models.prompts import Encoded
from inscl.models.shared_prefixes import Prefix, group_by_prefix, groups_for

TEMPLATE = [3, 4, 5, 6]


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    """A model that reads padded batches: what reads packed rows needs no groups."""
    from transformers import AutoModelForCausalLM

    found = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation="eager").eval()
    assert not reads_packed(found)
    return found


def rows(instructions: int, of_each: int, seed: int = 0) -> list[list[int]]:
    """Prompts of some instructions of 30 tokens each, with inputs of 1 to 9 tokens after them, shuffled."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(instructions):
        instruction = generator.integers(10, 250, 30).tolist()
        for _ in range(of_each):
            found.append([*TEMPLATE, *instruction, *generator.integers(10, 250, generator.integers(1, 10)).tolist()])
    return [found[k] for k in generator.permutation(len(found))]


def test_rows_of_an_instruction_share_it_and_the_rest_share_the_template() -> None:
    few = [[*TEMPLATE, *[200 + k] * 40] for k in range(50)]
    prompts = [*rows(2, 10), *rows(1, 3, seed=1), *few]
    groups = group_by_prefix(prompts)
    assert sorted(place for group in groups for place in group.places) == list(range(len(prompts)))
    assert sorted((len(group.places), group.shared) for group in groups) == [(10, 34), (10, 34), (53, 4)]


def test_a_beginning_that_saves_hardly_anything_is_not_read_apart() -> None:
    groups = group_by_prefix([*rows(2, 4), *rows(1, 2, seed=1)])
    assert [(len(group.places), group.shared) for group in groups] == [(10, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_groups_hold_each_prompt_once_and_share_what_they_say(seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Few different tokens, so that beginnings of all lengths are shared, prompts are equal or begin another.
    prompts = [generator.integers(0, 2, generator.integers(1, 60)).tolist() for _ in range(generator.integers(1, 80))]
    prompts += prompts[: seed % 4] + [prompts[0][:40] + [1] * k for k in range(1, 12)]
    groups = group_by_prefix(prompts)
    assert sorted(place for group in groups for place in group.places) == list(range(len(prompts)))
    for group in groups:
        members = [prompts[place] for place in group.places]
        assert len({tuple(member[: group.shared]) for member in members}) == 1
        assert all(len(member) > group.shared for member in members)
        assert [len(member) for member in members] == sorted(map(len, members), reverse=True)
    assert group_by_prefix(prompts) == groups


def test_a_trie_as_deep_as_it_can_be_is_grouped() -> None:
    prompts = [[1] * k for k in range(1, 3000)]
    assert sorted(place for group in group_by_prefix(prompts) for place in group.places) == list(range(2999))
    assert group_by_prefix([]) == []


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_answers_are_those_of_each_prompt_alone(model, batch_size: int) -> None:
    prompts = rows(2, 9)
    assert max(group.shared for group in group_by_prefix(prompts)) >= 34
    free = [alone(model, prompt, set(), 6) for prompt in prompts]
    ends = {free[0][2], free[5][3]}
    found = generate_greedily(model, prompts, max_new_tokens=6, batch_size=batch_size, end_tokens=ends, pad_token=2)
    assert found == [alone(model, prompt, ends, 6) for prompt in prompts]


@pytest.mark.parametrize("batch_size", [2, 32])
def test_likelihoods_are_those_of_a_plain_forward_pass(model, batch_size: int) -> None:
    prompts = rows(2, 9)
    examples = [Encoded([*prompt, *[7] * (k % 3), 2], len(prompt)) for k, prompt in enumerate(prompts)]
    found = log_likelihoods(model, examples, batch_size=batch_size, pad_token=2)
    assert_same(found, [plainly(model, example) for example in examples])


def test_a_prefix_is_read_once_and_each_cache_is_its_own(model) -> None:
    import torch

    read = []
    hook = model.register_forward_pre_hook(lambda *_, **__: read.append(1), with_kwargs=True)
    with torch.inference_mode():
        prefix = Prefix(model, [5, 6, 7])
        first, second = prefix.cache(2), prefix.cache(3)
        first.update(torch.zeros(2, *first.layers[0].keys.shape[1:]), first.layers[0].values, 0)
    hook.remove()
    assert read == [1]
    assert (first.get_seq_length(), second.get_seq_length()) == (6, 3)
    assert second.layers[0].keys.shape[0] == 3
    assert Prefix(model, []).cache(4).get_seq_length() == 0


def windowed():
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(sliding_window=12, **SMALL))


def local():
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    kinds = [[["global", "local"], 1]]
    return GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=256, hidden_size=16, num_layers=2, num_heads=2, attention_types=kinds, window_size=12
        )
    )  # fmt: skip


def counting_places():
    from transformers import MptConfig, MptForCausalLM

    return MptForCausalLM(MptConfig(vocab_size=256, d_model=16, n_layers=2, n_heads=2))


SMALL = {
    "vocab_size": 256, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1,
}  # fmt: skip


@pytest.mark.parametrize("make", [windowed, local, counting_places])
def test_models_that_count_padding_read_each_prompt_whole(make) -> None:
    import torch

    torch.manual_seed(0)
    model = make().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    prompts = rows(2, 6)
    assert [(len(group.places), group.shared) for group in groups_for(model, prompts)] == [(12, 0)]
    assert groups_for(model, []) == []
    found = generate_greedily(model, prompts, max_new_tokens=5, batch_size=4, end_tokens={2}, pad_token=2)
    assert found == [alone(model, prompt, {2}, 5) for prompt in prompts]
    examples = [Encoded([*prompt, *[7] * (k % 3), 2], len(prompt)) for k, prompt in enumerate(prompts)]
    scored = log_likelihoods(model, examples, batch_size=4, pad_token=2)
    assert_same(scored, [plainly(model, example) for example in examples])


def test_hooks_see_a_shared_beginning_with_the_padding_before_it(model) -> None:
    prompts, seen = rows(2, 6), []

    def hook(so_far, logits):
        seen.extend(so_far.tolist())
        return logits

    generate_greedily(model, prompts, max_new_tokens=1, batch_size=32, end_tokens={2}, pad_token=0, processors=[hook])
    whole = [row[next(k for k, token in enumerate(row) if token) :] for row in seen]
    assert sorted(whole) == sorted(prompts)
    assert any(row[0] == 0 for row in seen)
