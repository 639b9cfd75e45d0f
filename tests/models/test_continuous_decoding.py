from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.models.test_decoding import alone

from inscl.models.continuous_decoding import Ending, decode_continuously


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


@pytest.fixture
def passes(model) -> Iterator[list[int]]:
    """How many tokens each pass reads, on one thread."""
    import torch

    read: list[int] = []
    embeddings = model.get_input_embeddings()
    hook = embeddings.register_forward_hook(lambda module, given, found: read.append(given[0].numel()))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield read
    torch.set_num_threads(before)
    hook.remove()


def until(longest: int, *ends: int) -> Ending:
    return Ending(longest, frozenset(ends), lambda answer: False)


def test_prompts_join_answers_that_are_being_written(model, passes: list[int]) -> None:
    prompts = [[first] * 9 for first in (30, 40, 50)]
    free = [alone(model, prompt, set(), 4) for prompt in prompts]
    passes.clear()
    first = Ending(4, frozenset(), lambda answer: answer == free[0][:2])
    assert decode_continuously(model, prompts, first, 2) == [free[0][:2], free[1], free[2]]
    # Two prompts, two tokens; the third prompt beside a token of the second answer, and so on.
    assert passes == [9 * 2, 2, 1 + 9, 1 + 1, 1, 1]


def test_prompts_join_when_a_quarter_has_ended(model, passes: list[int]) -> None:
    prompts = [[first] * 5 for first in range(20, 29)]
    free = [alone(model, prompt, set(), 5) for prompt in prompts]
    short = {tuple(free[k][: k + 1]) for k in (0, 1, 2)}  # answers of one, two and three tokens
    passes.clear()
    found = decode_continuously(model, prompts, Ending(5, frozenset(), lambda answer: tuple(answer) in short), 8)
    assert found == [*(free[k][: k + 1] for k in (0, 1, 2)), *free[3:]]
    # One prompt is left, and there is room for it after the first pass; of nine more, two would have waited.
    assert passes == [8 * 5, 7 + 5, 6 + 1, 5 + 1, 5 + 1, 1]
    passes.clear()
    many = [*prompts, *([first] * 5 for first in range(60, 69))]
    decode_continuously(model, many, Ending(5, frozenset(), lambda answer: tuple(answer) in short), 8)
    assert passes[:3] == [8 * 5, 7, 6 + 2 * 5]


def test_beginnings_are_read_once_even_in_different_passes(model, passes: list[int]) -> None:
    same = [7, 8, 9] * 10
    prompts = [[*same, 20], [*same, 30, 31], [*same, 30, 31], [40, 41], same]
    expected = [alone(model, prompt, set(), 3) for prompt in prompts]
    passes.clear()
    assert decode_continuously(model, prompts, until(3), 1) == expected
    # In lexicographic order; of a prompt that is the beginning of another, or equal to it, the last token is read.
    assert [count for count in passes if count != 1] == [30, 2, 2]
    assert len(passes) == 5 * 3


@pytest.mark.parametrize("most", [1, 3, 50])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_order_of_passes_gives_the_answers_of_each_prompt_alone(model, most: int, threads: int) -> None:
    import torch

    generator = np.random.default_rng(3)
    begun = [generator.integers(3, 250, size).tolist() for size in (0, 25, 60)]
    prompts = [[*begun[k % 3], *generator.integers(3, 250, generator.integers(1, 150)).tolist()] for k in range(20)]
    free = [alone(model, prompt, set(), 6) for prompt in prompts]
    ends = {free[0][0], free[1][2], free[2][4]}
    expected = [answer[: next((k for k, token in enumerate(answer) if token in ends), 6)] for answer in free]
    assert {0, 2, 6} <= set(map(len, expected))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            assert decode_continuously(model, prompts, until(6, *ends), most) == expected
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert model.config._attn_implementation == "sdpa"


def test_a_prompt_may_begin_with_another_and_its_answer(model) -> None:
    import torch

    prompt = [5, 6, 7]
    said = alone(model, prompt, set(), 6)
    prompts = [prompt, *([*prompt, *said[:k], 9] for k in range(1, 6))]
    expected = [alone(model, one, set(), 6) for one in prompts]
    with torch.inference_mode():
        for most in (1, 2, 4, 6):
            assert decode_continuously(model, prompts, until(6), most) == expected


def test_new_prompts_are_divided_among_threads_and_single_tokens_are_not(model) -> None:
    import torch

    asked: list[tuple[int, int]] = []
    embeddings = model.get_input_embeddings()
    plain = embeddings.forward
    embeddings.forward = lambda ids: (asked.append((threading.get_ident(), ids.numel())), plain(ids))[1]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            decode_continuously(model, [[first] * 9 for first in range(20, 24)], until(3), 8)
    finally:
        torch.set_num_threads(before)
        del embeddings.forward
    assert [count for _, count in asked] == [18, 18, 4, 4]
    here = threading.get_ident()
    assert [one == here for one, _ in asked] == [False, False, True, True]


def test_hooks_see_all_tokens_so_far(model, passes: list[int]) -> None:
    prompts, seen = [[5, 6, 7], [9] * 20, [30]], []

    def hook(so_far, logits):
        assert len(so_far) == len(logits)
        seen.extend(so_far.tolist())
        return logits

    found = decode_continuously(model, prompts, until(2), 8, [hook], 0)
    whole = sorted(row[next(k for k, token in enumerate(row) if token) :] for row in seen)
    assert whole == sorted([*prompts, *([*prompt, said[0]] for prompt, said in zip(prompts, found, strict=True))])
