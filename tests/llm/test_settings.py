from __future__ import annotations

from typing import Any

import pytest

from inscl.errors import ConfigError
from inscl.llm.endpoint import ChatEndpoint
from inscl.llm.settings import LLMSettings


def test_a_name_is_enough_and_all_mistakes_are_told_at_once_without_secrets() -> None:
    assert LLMSettings.read("local:m") == LLMSettings("local:m")
    full = {"model": "m", "base_url": "http://localhost:1/v1", "timeout": 3, "request": {"seed": 1}}
    assert LLMSettings.read(full) == LLMSettings("m", "http://localhost:1/v1", timeout=3, request={"seed": 1})
    assert LLMSettings.read(LLMSettings.read(full).to_json()) == LLMSettings.read(full)
    wrong = {"model": "m", "concurency": 2, "timeout": 0, "price_per_million_input": -1, "max_retries": -1}
    with pytest.raises(ConfigError) as told:
        LLMSettings.read(wrong, "target")
    keys = {problem.key for problem in told.value.problems}
    assert keys == {f"target.{name}" for name in wrong if name != "model"}
    assert "did you mean 'concurrency'" in str(told.value)
    for secret in ({"api_key": "sk-12345678"}, {"api_key_env": "sk-12345678"}):
        with pytest.raises(ConfigError) as told:
            LLMSettings.read({"model": "m", **secret}, "llm")
        assert "sk-12345678" not in str(told.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5])
@pytest.mark.parametrize("field", ["price_per_million_input", "price_per_million_output", "timeout"])
def test_what_is_no_price_and_no_time_is_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"llm\.{field}: must be a number of"):
        LLMSettings.read({"model": "m", field: value})


@pytest.mark.parametrize("given", [None, 3, ["m"], {}, {"model": ""}, {"model": " "}, {"model": 3}, {3: "m"}])
def test_what_names_no_model_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="llm"):
        LLMSettings.read(given)


def test_the_request_of_the_settings_counts_before_the_tool_s() -> None:
    settings = LLMSettings("m", "http://localhost:1/v1", max_retries=2, request={"max_tokens": 9, "temperature": None})
    model = settings.chat_model({"temperature": 0, "max_tokens": 100})
    assert isinstance(model, ChatEndpoint)
    assert model.request == {"max_tokens": 9}
    assert model.max_retries == 2
