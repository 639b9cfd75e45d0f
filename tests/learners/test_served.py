"""The learner of a served model, asked through real servers on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat_server import server, surroundings, waits  # noqa: F401 - fixtures
from inscl.config.settings import RunConfig
from inscl.contract import Example, Question, Task
from inscl.contract.example import Turn
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import NullProgress
from inscl.engine.endpoint import Endpoint
from inscl.errors import ConfigError, DataError, EndpointError, RefusedError, TooLongError
from inscl.learners import FineTune, Served
from inscl.pipeline import run
from inscl.testing import check_learner
from model_servers import llama_server, transformers_server, write_gguf, write_gguf_adapter

QUESTIONS = [
    Question("Name a colour", "of the sky", options=("red", "blue")),
    Question("Say", "<|end|> naïve ☃"),
    Question(
        "And?", "", (Turn("system", "Be brief"), Turn("user", "Hi"), Turn("assistant", "Hi"), Turn("user", "And?"))
    ),
]
CHOICES = [Question(str(k), options=("red", "blue", "a longer one")) for k in range(3)]


def task(name: str = "colours", train: int = 3) -> Task:
    rows = tuple(Example("Say", str(k), ("red",), name) for k in range(train))
    return Task(name, rows, rows[:1])


@pytest.fixture(scope="module")
def gguf(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny_model, file)
    return file


@pytest.fixture(scope="module")
def llama(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_server(gguf, tmp_path_factory.mktemp("llama")) as url:
        yield url


@pytest.fixture(scope="module")
def here(tiny_model: Path) -> FineTune:
    """The same model in this process, untrained."""
    return FineTune(str(tiny_model), precision="fp32")


def asked(url: str, model: Path, **more: Any) -> Served:
    return Served(str(model), llm={"model": "tiny", "base_url": url, "timeout": 120}, **more)


def test_llama_cpp_s_server_says_what_the_model_says_here(llama: str, tiny_model: Path, here: FineTune) -> None:
    expected = here.answer(QUESTIONS, 6)
    found = asked(llama, tiny_model, template="local").answer(QUESTIONS, 6)
    assert [one.prompt_tokens for one in found] == [one.prompt_tokens for one in expected]
    assert [one.answer_tokens for one in found] == [6, 6, 6]
    # What a random model writes is no whole letters, which servers and tokenizers patch up in ways of their own.
    plain = [[letter for letter in one.text if letter.isascii()] for one in found]
    assert plain == [[letter for letter in one.text if letter.isascii()] for one in expected]
    first = asked(llama, tiny_model).answer(QUESTIONS[:1], 6)
    assert first[0].text == found[0].text, "its template is the tokenizer's"


def test_llama_cpp_s_server_tells_likelihoods_and_choices(llama: str, tiny_model: Path, here: FineTune) -> None:
    served, said = asked(llama, tiny_model), ["blue", "naïve ☃", ""]
    expected = here.log_likelihoods(QUESTIONS, said)
    for ours, theirs in zip(served.log_likelihoods(QUESTIONS, said), expected, strict=True):
        assert ours.nats == pytest.approx(theirs.nats, abs=0.01 * theirs.tokens)
        assert (ours.tokens, ours.correct) == (theirs.tokens, theirs.correct)
    for normalise in (True, False):
        chosen = served.choose(CHOICES, normalise), here.choose(CHOICES, normalise)
        np.testing.assert_allclose(*chosen, atol=0.1)
        np.testing.assert_allclose(np.exp(chosen[0]).sum(1), 1)


def test_it_keeps_the_contract_of_learners(llama: str, tiny_model: Path) -> None:
    check_learner(lambda: asked(llama, tiny_model))


def test_an_adapter_is_asked_by_its_number(gguf: Path, tiny_model: Path, tmp_path: Path, here: FineTune) -> None:
    rng = np.random.default_rng(0)
    files = []
    for name in ("first", "second"):
        files.append(tmp_path / f"{name}.gguf")
        write_gguf_adapter(2, rng.normal(size=(4, 32)), rng.normal(size=(16, 4)), files[-1])
    with llama_server(gguf, tmp_path, tuple(files)) as url:
        served = asked(url, tiny_model, lora_ids=True)

        def nats() -> float:
            return served.log_likelihoods(QUESTIONS[:1], ["blue"])[0].nats

        base = nats()
        assert base == pytest.approx(here.log_likelihoods(QUESTIONS[:1], ["blue"])[0].nats, abs=0.1)
        found = [base]
        for _ in files:
            served.learn(task(), ReplayPlan.nothing("colours"))
            found.append(nats())
    assert np.abs(np.diff(found)).min() > 0.1


def test_transformers_serve_answers_and_refuses_likelihoods(tiny_model: Path, tmp_path: Path, here: FineTune) -> None:
    with transformers_server(None, tmp_path) as url:
        llm = {"model": str(tiny_model), "base_url": url, "timeout": 300}
        served = Served(str(tiny_model), llm=llm)
        said = served.answer(QUESTIONS[:1], 6)
        assert said[0].text == here.answer(QUESTIONS[:1], 6)[0].text
        assert said[0].prompt_tokens == here.answer(QUESTIONS[:1], 6)[0].prompt_tokens
        with pytest.raises(RefusedError, match="gives no likelihoods of given answers") as caught:
            served.choose(CHOICES)
        assert "vLLM" in str(caught.value)
        whole_models_are_served_by_their_folders(llm, tiny_model, tmp_path)


def whole_models_are_served_by_their_folders(llm: dict[str, Any], model: Path, folder: Path) -> None:
    """`evaluation.endpoint` with ``adapters: folder``, at a server that is there already."""
    taught = FineTune(str(model), precision="fp32", adapter=None, learning_rate=3e-3, epochs=40)
    config = RunConfig(model={"name": str(model)}, evaluation={"endpoint": {"llm": llm, "adapters": "folder"}})
    elsewhere, state, plan = Endpoint(config, NullProgress()), folder / "model", ReplayPlan.nothing("colours")
    elsewhere.check()
    for name in ("red", "blue"):  # at one place, one after the other: no server may take the second for the first
        rows = tuple(Example("Say", str(k), (name,), "colours") for k in range(3))
        taught.learn(Task("colours", rows, rows[:1]), plan)
        state.mkdir(exist_ok=True)
        taught.save(state)
        with elsewhere.serving(state) as served:
            found = served.answer([Question.of(rows[0])], 6)[0].text
        assert found == taught.answer([Question.of(rows[0])], 6)[0].text
        assert found == name
        assert [path.name for path in folder.glob("inscl-*")] == []


def test_a_run_is_scored_where_its_model_is_served(llama: str, tiny_model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in tiny_model.iterdir():
        if file.suffix != ".safetensors":
            (bare / file.name).write_bytes(file.read_bytes())
    settings = {
        "stream": {"path": "demo", "train_per_task": 4, "test_per_task": 2},
        "model": {"name": f"tokenizer:{bare}"},
        "replay": {"strategy": "none"},
        "training": {
            "learner": "served",
            "params": {"llm": {"model": "support-{stage}-{task}", "base_url": llama}},
        },
        "evaluation": {"metrics": ["answer_loss", "exact_match"], "max_new_tokens": 4, "base": True},
        "output_dir": str(tmp_path / "run"),
    }
    found = run(settings)
    losses = found.scores.array("answer_loss")
    np.testing.assert_allclose(losses[1:, 0], losses[0, 0], atol=1e-3)  # this server ignores names: one model for all
    learned = json.loads(next((tmp_path / "run" / "stages").glob("02-*/learn.json")).read_text())
    assert learned["facts"] == {"served": f"support-2-{found.stream.tasks[1].name}"}
    settings["training"]["params"]["llm"]["base_url"] = "http://127.0.0.1:9/v1"  # elsewhere: the run is the same
    assert run(settings).metrics == found.metrics


def reply(text: str) -> tuple[int, dict[str, str], str]:
    return (
        200,
        {},
        json.dumps(
            {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
        ),
    )


def test_another_adapter_is_asked_after_each_stage(server: Any, tiny_model: Path) -> None:  # noqa: F811
    server.script = [reply(" red ")]
    served = Served(str(tiny_model), llm={"model": "a-{stage}-{task}", "base_url": server.url, "request": {"seed": 3}})
    for name in ("one", "two"):
        served.learn(task(name), ReplayPlan.nothing(name))
    (answer,) = served.answer([Question("Say")], 7)
    assert (answer.text, answer.prompt_tokens, answer.answer_tokens) == ("red", 5, 2)
    request = server.requests[0]
    assert request["model"] == "a-2-two"
    assert (request["max_tokens"], request["temperature"], request["seed"]) == (7, 0, 3)
    assert request["messages"] == [{"role": "user", "content": "Say"}]


def test_an_interrupted_call_asks_nothing_twice(server: Any, tiny_model: Path, tmp_path: Path) -> None:  # noqa: F811
    server.script = [reply("1"), reply("2"), (401, {}, "no")]
    llm = {"model": "m", "base_url": server.url, "concurrency": 1}
    questions = [Question(str(k)) for k in range(4)]
    served = Served(str(tiny_model), llm=llm)
    served.progress_dir = tmp_path
    with pytest.raises(EndpointError, match="refused the key"):
        served.answer(questions, 7)
    before = len(server.requests)
    server.script = [reply("later")]
    again = Served(str(tiny_model), llm=llm)
    again.progress_dir = tmp_path
    assert [one.text for one in again.answer(questions, 7)] == ["1", "2", "later", "later"]
    assert len(server.requests) == before + 2


def test_as_many_questions_are_under_way_as_is_said(server: Any, tiny_model: Path) -> None:  # noqa: F811
    together = threading.Barrier(3, timeout=30)

    def wait(request: Any) -> Any:
        together.wait()
        return reply("ok")

    server.script = [wait]
    llm = {"model": "m", "base_url": server.url, "concurrency": 3}
    assert len(Served(str(tiny_model), llm=llm).answer([Question(str(k)) for k in range(3)])) == 3


def test_a_question_that_is_too_long_says_what_to_do(server: Any, tiny_model: Path) -> None:  # noqa: F811
    server.script = [(400, {}, '{"error": {"message": "maximum context length is 512 tokens"}}')]
    with pytest.raises(TooLongError, match=r"training\.params\.template: local shortens"):
        asked(server.url, tiny_model).answer([Question("Say")])


def test_what_cannot_be_is_told_at_once(tiny_model: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Served(str(tiny_model), llm="local:smollm2-135m", template="sever", likelihoods="ecko", prompt="plain")
    keys = {problem.key for problem in caught.value.problems}
    assert keys == {"training.params.llm.model", "training.params.template", "training.params.likelihoods"}
    with pytest.raises(ConfigError, match="chat template"):
        Served(str(tiny_model), llm="m", prompt="plain")
    with pytest.raises(ConfigError, match=r"training\.params\.llm\.modl"):
        Served(str(tiny_model), llm={"modl": "m"})
    served = Served(str(tiny_model), llm="m")
    with pytest.raises(DataError, match="no train examples"):
        served.learn(task(train=0), ReplayPlan.nothing("colours"))
