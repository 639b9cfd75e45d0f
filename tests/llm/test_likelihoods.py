"""Likelihoods of given answers, asked of real servers, against transformers' own arithmetic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import LogLikelihood
from inscl.errors import EndpointError, RefusedError
from inscl.llm.endpoint import ChatEndpoint
from inscl.llm.likelihoods import ServedLikelihoods
from model_servers import echo_server, llama_server, write_gguf

PROMPT, END = "<|start|>user\nSay red<|end|>\n<|start|>assistant\n", 2
ANSWERS = ("red", "", "a rather long answer", "naïve ☃ <|end|>")  # the tokens are bytes: parts of letters too


@pytest.fixture(scope="module")
def pairs(tiny_model: Path) -> list[tuple[list[int], list[int]]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    prompt = tokenizer(PROMPT, add_special_tokens=False).input_ids
    return [(prompt, [*tokenizer(text, add_special_tokens=False).input_ids, END]) for text in ANSWERS]


@pytest.fixture(scope="module")
def expected(tiny_model: Path, pairs: list[tuple[list[int], list[int]]]) -> list[LogLikelihood]:
    import torch
    from transformers import AutoModelForCausalLM

    model, found = AutoModelForCausalLM.from_pretrained(tiny_model), []
    for prompt, answer in pairs:
        with torch.inference_mode():
            known = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)[len(prompt) - 1 : -1]
        nats = [float(row[token]) for row, token in zip(known, answer, strict=True)]
        right = [int(row.argmax()) == token for row, token in zip(known, answer, strict=True)]
        found.append(LogLikelihood(sum(nats), len(answer), sum(right)))
    return found


@pytest.fixture(scope="module")
def llama(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("llama")
    write_gguf(tiny_model, folder / "tiny.gguf")
    with llama_server(folder / "tiny.gguf", folder) as url:
        yield url


def test_by_llama_cpp_s_server(llama: str, pairs: Any, expected: list[LogLikelihood]) -> None:
    asking = ServedLikelihoods()
    assert not asking.known
    with ChatEndpoint("tiny", llama) as server:
        found = [asking.ask(server, *pair) for pair in pairs]
    assert asking.known
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.nats == pytest.approx(theirs.nats, abs=0.01 * theirs.tokens)  # its keys and values are float16
        assert (ours.tokens, ours.correct) == (theirs.tokens, theirs.correct)


def test_a_greedy_answer_is_all_correct(llama: str, pairs: Any, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model, prompt = AutoModelForCausalLM.from_pretrained(tiny_model), pairs[0][0]
    said = model.generate(torch.tensor([prompt]), max_new_tokens=4, do_sample=False)[0, len(prompt) :].tolist()
    assert END not in said
    with ChatEndpoint("tiny", llama) as server:
        assert ServedLikelihoods("forced").ask(server, prompt, [*said, END]).correct == 4


def test_by_a_server_that_echoes(tiny_model: Path, pairs: Any, expected: list[LogLikelihood]) -> None:
    asking = ServedLikelihoods()
    with echo_server(tiny_model) as url, ChatEndpoint("tiny", url) as server:
        found = [asking.ask(server, *pair) for pair in pairs]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.nats == pytest.approx(theirs.nats, rel=1e-5)
        assert (ours.tokens, ours.correct) == (theirs.tokens, theirs.correct)


def test_a_server_that_does_neither_is_refused_with_both_reasons(server: Any) -> None:
    plain = json.dumps({"choices": [{"index": 0, "text": "red", "logprobs": None}]})
    json_body = {"Content-Type": "application/json"}
    refusal = '{"error": {"message": "Unexpected fields in the request: logit_bias"}}'
    server.script = [(200, {}, plain), (422, json_body, refusal)]
    with ChatEndpoint("m", server.url) as open_server, pytest.raises(RefusedError) as caught:
        ServedLikelihoods().ask(open_server, [5, 6], [7, 2])
    said = str(caught.value)
    assert "echoes no log-probabilities" in said
    assert "Unexpected fields" in said
    assert "vLLM or llama.cpp's server" in said
    assert [request["prompt"] for request in server.requests] == [[5, 6, 7, 2], [5, 6]]


def test_a_server_that_obeys_no_bias_is_refused(server: Any) -> None:
    content = [{"id": 8, "logprob": -1.0, "top_logprobs": [{"id": 8, "logprob": -1.0}]}]
    server.script = [(200, {}, json.dumps({"choices": [{"text": "", "logprobs": {"content": content}}]}))]
    with ChatEndpoint("m", server.url) as open_server, pytest.raises(RefusedError, match="a token with a bias"):
        ServedLikelihoods("forced").ask(open_server, [5], [7, 2])


def test_a_token_that_is_not_among_the_likeliest_is_told(server: Any) -> None:
    nothing = (200, {}, json.dumps({"choices": [{"text": "", "logprobs": {"content": []}}]}))
    content = [{"id": 2, "logprob": -1.0, "top_logprobs": [{"id": 9, "logprob": -1.0}]}]
    server.script = [nothing, (200, {}, json.dumps({"choices": [{"text": "", "logprobs": {"content": content}}]}))]
    with ChatEndpoint("m", server.url) as open_server, pytest.raises(EndpointError, match="token 7 is, which is part"):
        ServedLikelihoods("forced").ask(open_server, [5], [7, 2])
    assert list(server.requests[1]["logit_bias"]) == ["2"]


def test_what_is_no_log_probability_is_told(server: Any) -> None:
    shown = {"token_logprobs": [None, "much", 1.0]}
    server.script = [(200, {}, json.dumps({"choices": [{"text": "", "logprobs": shown}]}))]
    with (
        ChatEndpoint("m", server.url) as open_server,
        pytest.raises(EndpointError, match="'much' as a log-probability"),
    ):
        ServedLikelihoods("echo").ask(open_server, [5], [7, 2])
