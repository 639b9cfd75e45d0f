from __future__ import annotations

import email.utils
import json
import subprocess
import sys
import time

import pytest

from inscl.errors import EndpointError, MissingExtraError, UserError
from inscl.llm.endpoint import ChatEndpoint

KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"


def completion(content):
    """A chat completion as a server sends it."""
    message = {"role": "assistant", "content": content}
    return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [{"index": 0, "message": message}]})


QUESTION = [{"role": "user", "content": "Who?"}]
BUSY = (429, {"Content-Type": "application/json"}, '{"error": {"message": "slow down"}}')
BROKEN = (500, {"Content-Type": "text/html"}, "<html>oops</html>")
GOOD = completion("fine")


def ask(server, **options):
    with ChatEndpoint("m", server.url, **options) as endpoint:
        return endpoint.complete(QUESTION).text


def failure(server, **options):
    with pytest.raises(EndpointError) as caught:
        ask(server, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert KEY not in message
    assert caught.value.__cause__ is None
    return message


def test_a_question_and_its_answer(server):
    server.script = [GOOD]
    assert ask(server, request={"max_tokens": 7, "temperature": None, "seed": 1}) == "fine"
    assert server.requests == [{"messages": QUESTION, "model": "m", "max_tokens": 7, "seed": 1}]
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("first", [BUSY, BROKEN, (503, {}, ""), (408, {}, ""), "close", "half"])
def test_what_passes_is_tried_again(server, waits, first):
    server.script = [first, first, GOOD]
    assert ask(server) == "fine"
    assert len(server.requests) == 3
    assert 0.3 < waits[0] < 0.7
    assert 0.7 < waits[1] < 1.3


def test_retry_after_is_kept(server, waits):
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    server.script = [(429, {"Retry-After": value}, "") for value in ("7", "1.5", "0", date)] + [GOOD]
    assert ask(server) == "fine"
    assert waits[:3] == [7.0, 1.5, 0.0]
    assert 30 < waits[3] <= 60


def test_retry_after_of_nonsense_is_no_reason_to_wait_for_ever(server, waits):
    server.script = [(429, {"Retry-After": value}, "") for value in ("soon", "nan", "-4")] + [GOOD]
    assert ask(server) == "fine"
    assert max(waits) < 3


def test_an_hour_is_not_waited(server, waits):
    server.script = [(429, {"Retry-After": "3600"}, "")]
    assert "come back in 3600 seconds" in failure(server)
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize("entry", [BROKEN, BUSY, "close", "half"])
def test_tries_come_to_an_end(server, waits, entry):
    server.script = [entry]
    assert "(4 tries)" in failure(server, max_retries=3)
    assert (len(server.requests), len(waits)) == (4, 3)


@pytest.mark.parametrize("entry", ["silence", "drip", "drip_error", "drip_head"])
def test_an_answer_that_does_not_end_is_given_up(server, waits, entry):
    server.script = [entry, GOOD]
    assert ask(server, timeout=0.5) == "fine"
    server.script, server.requests = [entry], []
    assert "within 0.3 seconds (2 tries)" in failure(server, timeout=0.3, max_retries=1)


def test_nobody_there(server, waits):
    server.end()
    message = failure(server, max_retries=2)
    assert "can't be reached" in message
    assert server.url in message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server, other_server, waits, status):
    server.script = [(status, {"Location": other_server.url + "/chat/completions"}, "")]
    assert "redirects elsewhere" in failure(server)
    assert (len(server.requests), other_server.requests) == (1, [])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ((200, {"Content-Type": "text/html"}, "<html>Welcome</html>"), "<html>Welcome"),
        ((200, {"Content-Type": "application/json"}, ""), "answered nothing"),
        ((200, {"Content-Type": "application/json"}, "{}"), "instead of a chat completion"),
        ((200, {"Content-Type": "application/json"}, '{"choices": []}'), "instead of a chat completion"),
        ((200, {"Content-Type": "application/json"}, "[" * 100_000), "instead of a chat completion"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08"), "instead of a chat completion"),
        ((200, {}, b"\xff\xfe\x00"), "instead of a chat completion"),
        ((200, {}, "x" * 3_000_000), "more than 2 MiB"),
        ((500, {"X-Large": "1"}, "x" * 3_000_000), "more than 2 MiB"),
        ((404, {}, '{"error": {"message": "no such model"}}'), "doesn't know the model"),
        ((400, {"Content-Type": "application/json"}, '{"error": {"message": "bad\\nfield"}}'), "bad"),
    ],
)
def test_what_does_not_pass_is_told_at_once(server, waits, entry, reason):
    server.script = [entry]
    assert reason in failure(server)
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 422, 500])
def test_a_key_that_is_sent_back_is_not_shown(server, waits, caplog, status):
    caplog.set_level("DEBUG", logger="inscl")
    for told in (KEY, f"{KEY[:8]}****{KEY[-4:]}", "abcd************wxyz"):
        text = json.dumps({"error": {"message": f"Incorrect API key provided: {told}. See the site."}})
        server.script = [(status, {"Content-Type": "application/json"}, text)]
        message = failure(server, max_retries=0)
        assert told not in message
        assert KEY[-4:] not in message
        assert "wxyz" not in message
        assert KEY not in caplog.text
    if status in (401, 403):
        assert "refused the key in OPENAI_API_KEY" in message


def test_a_key_in_an_answer_is_taken_out(server):
    server.script = [completion(f"your key is {KEY}")]
    assert ask(server) == "your key is [key]"


def test_the_key_is_in_no_attribute(server):
    endpoint = ChatEndpoint("m", server.url)
    assert KEY not in repr(endpoint) + repr(vars(endpoint))
    with endpoint:
        assert KEY not in repr(endpoint) + repr(vars(endpoint))
        assert endpoint.complete(QUESTION).text
    assert vars(endpoint)["_client"] is None


def test_a_server_by_address_needs_no_key(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    server.script = [GOOD]
    assert ask(server) == "fine"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with ChatEndpoint("m") as endpoint:
        assert endpoint.complete(QUESTION).text == "fine"


def test_another_variable_holds_the_key(server, monkeypatch):
    monkeypatch.setenv("HOUSE_KEY", "house-key-123456")
    ask(server, api_key_env="HOUSE_KEY")
    assert server.keys == ["Bearer house-key-123456"]


def test_neither_key_nor_address(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match=r"OPENAI_API_KEY.*base_url"):
        ChatEndpoint("m")


@pytest.mark.parametrize(
    "address",
    ["localhost:8000", "ftp://x/v1", "http://", "http://h:99999/v1", "http://me:secret@h/v1", "http://h/?k=secret"],
)
def test_an_address_that_is_none_or_holds_a_secret(address):
    with pytest.raises(UserError, match="base_url") as caught:
        ChatEndpoint("m", address)
    assert "secret" not in str(caught.value)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"inscl\[llm\]"):
        ChatEndpoint("m", "http://localhost/v1")


@pytest.mark.parametrize("key", ["schlüssel-0123456789", "key-0123\n456789", "key\x00-0123456789"])
def test_a_key_that_cannot_be_one(monkeypatch, key):
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        ChatEndpoint("m")
    assert "0123" not in str(caught.value)


def test_a_line_end_after_the_key_does_no_harm(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    ask(server)
    assert server.keys == [f"Bearer {KEY}"]


def test_making_one_does_not_import_the_client():
    code = "import sys; from inscl.llm.endpoint import ChatEndpoint; ChatEndpoint('m', 'http://h/v1'); "
    code += "print('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
