from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inscl.models import packed_reading
from inscl.models.decoding import generate_greedily
from inscl.models.likelihoods import log_likelihoods
from inscl.models.packed_reading import in_rows, reads_packed
from inscl.models.prompts import Encoded

TEXTS = [[5, 6, 7], [9] * 20, [5, 6, 7, 8, 9], [100], [5, 6, 7]]


@pytest.fixture
def model(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


@pytest.fixture
def two_threads() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_rows_are_read_at_once_unless_somebodys_hook_keeps_what_it_sees(model) -> None:
    meeting = threading.Barrier(2, timeout=60)

    def read(places: list[int]) -> int:
        meeting.wait()  # passes only if both rows are being read
        return len(places)

    found = in_rows(model, TEXTS, read)
    assert sorted(place for places, _ in found for place in places) == list(range(5))
    assert all(len(places) == count for places, count in found)
    hook = model.register_forward_hook(lambda *_: None)
    assert len(in_rows(model, TEXTS, len)) == 1
    hook.remove()


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_a_row_leaves_attention_and_threads_as_they_were(model) -> None:
    import torch

    def fail(places: list[int]) -> None:
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        in_rows(model, TEXTS, fail)
    assert model.config._attn_implementation == "sdpa"
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_nothing_is_padded_and_what_is_shared_is_read_once(model) -> None:
    read: list[int] = []
    reads_packed(model)
    embeddings = model.get_input_embeddings()
    plain = embeddings.forward
    embeddings.forward = lambda ids: (read.append(ids.numel()), plain(ids))[1]
    log_likelihoods(model, [Encoded([*text, 2], len(text)) for text in TEXTS], batch_size=8, pad_token=0)
    # The end of sequence is predicted and predicts nothing, so it isn't read.
    distinct = {tuple(text[: end + 1]) for text in TEXTS for end in range(len(text))}
    assert len(read) == 2
    assert sum(read) <= len(distinct) + 3  # at most one beginning is in both rows


def test_whether_a_model_reads_so_is_found_out_once(model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads_packed(model)
    monkeypatch.setattr(packed_reading, "shares_exactly", lambda model: pytest.fail("asked twice"))
    assert reads_packed(model)


def test_a_batch_that_was_lost_is_read_again_alike(model) -> None:
    kept: dict[str, list[list[int]]] = {}
    told: list[int] = []
    settings = {"max_new_tokens": 5, "batch_size": 1, "end_tokens": (), "pad_token": 0, "advance": told.append}
    first = generate_greedily(model, TEXTS, **settings, keep=kept.__setitem__)
    assert told == [4, 5]
    del kept["1"]
    assert generate_greedily(model, TEXTS, **settings, known=kept) == first
    assert told == [4, 5] * 2
