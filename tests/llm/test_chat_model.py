from __future__ import annotations

import pytest

from inscl.errors import ConfigError
from inscl.llm.chat_model import chat_model
from inscl.llm.endpoint import ChatEndpoint
from inscl.llm.local import LocalChatModel


def test_a_name_is_a_server_s_and_one_behind_local_is_of_this_machine() -> None:
    assert isinstance(chat_model("m", "http://localhost:1/v1", request={}), ChatEndpoint)
    local = chat_model("local:smollm2-135m", request={"max_tokens": 9})
    assert isinstance(local, LocalChatModel)
    assert (local.name, local.max_tokens) == ("local:smollm2-135m", 9)


def test_a_local_model_has_no_address() -> None:
    with pytest.raises(ConfigError, match=r"base_url.*runs in this process: leave it out"):
        chat_model("local:smollm2-135m", "http://localhost:1/v1", request={})


def test_whatever_a_local_model_would_ignore_is_told_at_once() -> None:
    request = {"max_tokens": 0, "temperature": 0.7, "seed": 1, "stop": None}
    with pytest.raises(ConfigError) as caught:
        chat_model("local:smollm2-135m", request=request)
    assert {problem.key for problem in caught.value.problems} == {
        "request.max_tokens",
        "request.temperature",
        "request.seed",
    }
