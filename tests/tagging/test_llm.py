from __future__ import annotations

import json

import pytest

from inscl.contract.seams import NullProgress
from inscl.errors import ConfigError, EndpointError
from inscl.tagging.answers import PROMPT
from inscl.tagging.llm import LLMTagger
from model_servers import transformers_server

KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"


def completion(content):
    """A chat completion as a server sends it."""
    message = {"role": "assistant", "content": content}
    return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [{"index": 0, "message": message}]})


def tags(*names):
    return completion(json.dumps([{"tag": name, "explanation": "because"} for name in names]))


PROSE = completion("I would say: sentiment.")


def echo(request):
    """Answers with a tag that tells which instruction was asked about."""
    text = request["messages"][0]["content"]
    return tags("about " + text.split("begins here:\n")[1].split("\n")[0])


class Listener(NullProgress):
    def __init__(self):
        self.told = []

    def note(self, message):
        self.told.append(message)

    def advance(self, done, **facts):
        self.told.append(done)


def test_tags_come_in_order_each_instruction_asked_once(server, tmp_path):
    server.script = [echo]
    listener = Listener()
    tagger = LLMTagger("m", server.url, cache=tmp_path / "t.sqlite", progress=listener)
    texts = [f"task {n}" for n in range(12)]
    assert tagger([*texts, *texts]) == [[f"about {text}"] for text in texts] * 2
    assert len(server.requests) == 12
    assert "12 requests" in listener.told[0]
    assert listener.told[1:] == list(range(1, 13))

    assert LLMTagger("m", server.url, cache=tmp_path / "t.sqlite")(texts[::-1]) == [[f"about {t}"] for t in texts[::-1]]
    assert len(server.requests) == 12


def test_another_model_prompt_or_request_is_asked_anew_another_address_is_not(server, other_server):
    server.script = other_server.script = [echo]
    LLMTagger("m", server.url)(["a"])
    LLMTagger("m", other_server.url, concurrency=2, timeout=9)(["a"])
    assert (len(server.requests), len(other_server.requests)) == (1, 0)
    for options in ({"model": "n"}, {"prompt": PROMPT + " "}, {"request": {"seed": 1}}):
        LLMTagger(**{"model": "m", "base_url": other_server.url, **options})(["a"])
    assert len(other_server.requests) == 3


def test_malformed_json_is_asked_for_once_more_with_the_reason(server):
    server.script = [PROSE, tags("Sentiment")]
    assert LLMTagger("m", server.url)(["Rate it."]) == [["Sentiment"]]
    first, second = (request["messages"] for request in server.requests)
    assert second[0] == first[0]
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[1]["content"] == "I would say: sentiment."
    assert "not valid JSON" in second[2]["content"]


def test_malformed_twice_names_the_instruction_and_keeps_the_other_answers(server):
    def entry(request):
        return PROSE if "task 3\n" in request["messages"][0]["content"] else echo(request)

    server.script = [entry]
    texts = [f"task {n}" for n in range(6)]
    with pytest.raises(EndpointError, match=r"twice.*not valid JSON.*'task 3'"):
        LLMTagger("m", server.url, concurrency=1)(texts)
    assert [echo(r)[2] for r in server.requests].count(echo(server.requests[3])[2]) == 2
    server.script, server.requests = [echo], []
    assert LLMTagger("m", server.url)(texts) == [[f"about {text}"] for text in texts]
    asked = {request["messages"][0]["content"].split("begins here:\n")[1].split("\n")[0] for request in server.requests}
    assert asked <= {"task 3", "task 4", "task 5"}


def test_what_was_asked_before_a_failure_is_not_asked_again(server, waits):
    server.script = [echo] * 5 + [(401, {}, "")]
    texts = [f"task {n}" for n in range(10)]
    with pytest.raises(EndpointError, match="refused"):
        LLMTagger("m", server.url, concurrency=1)(texts)
    assert len(server.requests) in (6, 7)  # one more may have been on its way
    server.script, server.requests = [echo], []
    LLMTagger("m", server.url)(texts)
    assert len(server.requests) == 5


def test_a_server_that_is_down_ends_the_call_with_one_message(server, waits):
    server.end()
    with pytest.raises(EndpointError, match="can't be reached") as caught:
        LLMTagger("m", server.url, max_retries=1)([f"task {n}" for n in range(50)])
    assert caught.value.exit_code == 1
    assert len(waits) <= 8


def test_the_key_is_written_nowhere(server, waits, tmp_path, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    monkeypatch.chdir(tmp_path)
    error = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}})
    server.script = [tags(KEY, "tag"), (500, {}, error), tags("b"), (401, {"Content-Type": "application/json"}, error)]
    tagger = LLMTagger("m", server.url, cache=tmp_path / "t.sqlite", concurrency=1)
    with pytest.raises(EndpointError) as caught:
        tagger(["a", "b", "c"])
    assert len(server.requests) == 4
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"tag" in written
    assert KEY.encode() not in written
    assert KEY not in str(caught.value) + repr(tagger) + repr(vars(tagger)) + tagger.fingerprint
    assert KEY not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("inscl"))


def test_an_instruction_of_any_letters_is_sent(server):
    server.script = [tags("é 日本")]
    texts = ["é", "日本語 🙂", "\ud800", "a\x00b", '"quotes" {instruction} {x}']
    assert LLMTagger("m", server.url)(texts) == [["é 日本"]] * 5
    sent = sorted(request["messages"][0]["content"] for request in server.requests)
    assert len(set(sent)) == 5
    assert any("\n\ufffd\n" in content for content in sent)


def test_estimate(server):
    server.script = [echo]
    tagger = LLMTagger(
        "m", server.url, prompt="12345678{instruction}", price_per_million_input=10.0, price_per_million_output=20.0
    )
    estimate = tagger.estimate(["a" * 392, "a" * 392, "b" * 392])
    assert (estimate.requests, estimate.input_tokens, estimate.output_tokens) == (2, 200, 240)
    assert estimate.price == pytest.approx((200 * 10 + 240 * 20) / 1e6)
    assert "2 requests" in str(estimate)
    assert server.requests == []
    server.script = [tags("x")]
    tagger(["a" * 392])
    assert tagger.estimate(["a" * 392, "b" * 392]).requests == 1
    assert LLMTagger("m", server.url).estimate(["a"]).price is None
    assert LLMTagger("m", server.url).estimate([]).requests == 0


def test_every_wrong_value_is_told_at_once(server):
    with pytest.raises(ConfigError) as caught:
        LLMTagger("m", server.url, concurrency=0, max_retries=-1, timeout=0, prompt="none", price_per_million_input=-1)
    assert {problem.key for problem in caught.value.problems} == {
        "concurrency",
        "max_retries",
        "timeout",
        "prompt",
        "price_per_million_input",
    }


@pytest.fixture
def smollm2_server(smollm2, tmp_path):
    """`transformers serve` with the real SmolLM2 on a free port."""
    with transformers_server(str(smollm2), tmp_path) as url:
        yield url, str(smollm2)


@pytest.mark.real_model
def test_a_real_server_with_a_real_model(smollm2_server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    url, model = smollm2_server
    cache, few = tmp_path / "t.sqlite", {"max_tokens": 40}
    # A small model often misses the form, so both documented outcomes are right.
    instruction = "Classify the sentiment of the given restaurant review as positive or negative."
    tagger = LLMTagger(model, url, request=few, cache=cache, timeout=300)
    try:
        [found] = tagger([instruction])
    except EndpointError as error:
        found, message = [], str(error)
        assert "answered twice" in message, message
        assert instruction in message
    assert tagger.estimate([instruction]).requests == (0 if found else 1)

    # Asked for less, it gives a tag; afterwards nobody needs to be there.
    prompt = 'Write a JSON object with the key "tag" and the value "{instruction}".'
    assert LLMTagger(model, url, prompt=prompt, request=few, cache=cache, timeout=300)(["sentiment"]) == [["sentiment"]]
    nobody = LLMTagger(model, "http://127.0.0.1:9/v1", prompt=prompt, request=few, cache=cache)
    assert nobody(["sentiment"]) == [["sentiment"]]
