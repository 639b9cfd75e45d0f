"""V-score by hand: what a program checks, what a judge is asked, and what neither knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl.config.identity import deciding_settings
from inscl.config.loading import load_config
from inscl.contract import Answer, Question
from inscl.contract.chat import Completion
from inscl.contract.measured import Asked, Measured, Undefined
from inscl.engine.parts import Parts
from inscl.errors import ConfigError
from inscl.evaluation.v_score import VScore
from inscl.llm import settings
from inscl.storage.files.atomic import read_jsonl
from streams import toy_config, toy_stream


def rows(references: list[str], answers: list[str], instruction: str = "Do it.", **question: Any) -> list[Asked]:
    asked = Question(instruction, **question)
    return [Asked(asked, (one,), Answer(said)) for one, said in zip(references, answers, strict=True)]


LABELS = ["yes", "no", "yes", "no", "yes", "no"]
JSONS = [f'{{"item": "a{k}", "count": {k}, "n{k}": 0}}' for k in range(5)]
LINES = [f"{'word ' * k}end" for k in range(3, 13)]  # 4 to 13 words, so 2 to 26 are expected, on one line
TEXTS = [f"{one}\nsecond line" for one in LINES]


@pytest.mark.parametrize(
    ("references", "answers", "shares"),
    [
        # A wrong label keeps its constraint; a sentence doesn't.
        (LABELS, ["no", "YES", "no.", "It is yes.", "", "maybe"], [1, 1, 1, 0, 0, 0]),
        # JSON, the key item, the key count: three constraints.
        (JSONS, ['{"item": 1, "count": 2}', '{"item": 1}', "{}", "[1]", "item"], [1, 2 / 3, 1 / 3, 0, 0]),
        (["1", "2.5", "30%", "-4", "1,000"], ["7", "about 7", "seven", "", "-1"], [1, 0, 0, 0, 1]),
        # The number of words, and one line.
        (LINES, ["one two", "one", "a b\nc", "w " * 27, "", *LINES[5:]], [1, 1 / 2, 1 / 2, 1 / 2, 0, 1, 1, 1, 1, 1]),
        (TEXTS, ["a b c d", "a b\nc d", "w", "", *TEXTS[4:]], [1, 1, 0, 0, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_by_program(references: list[str], answers: list[str], shares: list[float]) -> None:
    found = VScore()(rows(references, answers))
    assert isinstance(found, Measured)
    assert found.by_row == pytest.approx(shares)
    assert found.value == pytest.approx(sum(shares) / len(shares))
    assert found.n == len(shares)


def test_few_references_and_nobody_to_ask() -> None:
    found = VScore()(rows(["a", "b", "c"], ["a", "b", "c"]))
    assert isinstance(found, Undefined)
    assert "too few to show a format" in found.reason
    assert "evaluation.judge" in found.reason


class Scripted:
    """Stands for a chat model that finds the part which an answer keeps in the answer itself."""

    asked: list[str]

    def __init__(self, model: str, base_url: str | None, **options: Any) -> None:
        self.name = self.fingerprint = model

    def complete(self, messages: Any) -> Completion:
        text = messages[0]["content"]
        type(self).asked.append(text)
        part, answer = (text.rpartition(f"<{tag}>\n")[2].partition(f"\n</{tag}>")[0] for tag in ("part", "answer"))
        return Completion("yes" if part in answer else "no")

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *error: object) -> None: ...

    def give_up(self) -> None: ...


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Scripted]:
    Scripted.asked = []
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(settings, "chat_model", Scripted)
    return Scripted


def test_by_the_judge_where_free_text_is_expected(endpoint: type[Scripted]) -> None:
    metadata = {"key_parts": ["in French", "two lines", "nowhere"]}
    asked = rows(LINES, ["in French, two lines", "in French", "", *LINES[3:]], "Say it in French, two lines.")
    asked = [
        Asked(Question(**{**vars(one.question), "metadata": metadata}), one.references, one.answer) for one in asked
    ]
    found = VScore("judge")(asked)
    assert isinstance(found, Measured)
    assert found.by_row == pytest.approx([1, 1 / 2, 0] + [0] * 7)
    assert len(endpoint.asked) == 2 * 9  # of an answer without text nobody is asked, nor of a part that doesn't occur
    VScore("judge")(asked)
    assert len(endpoint.asked) == 18  # the answers are kept


def test_without_named_key_parts_the_clauses_are_judged(endpoint: type[Scripted]) -> None:
    found = VScore({"model": "judge"})(rows(["a"], ["Be brief, I say."], "Be brief, I say. Rhyme!"))
    assert isinstance(found, Measured)
    assert found.value == pytest.approx(2 / 3)
    assert [text.rpartition("<part>\n")[2].partition("\n</part>")[0] for text in sorted(endpoint.asked)] == sorted(
        ["Be brief,", "I say.", "Rhyme!"]
    )


def test_what_a_program_can_check_nobody_is_asked(endpoint: type[Scripted]) -> None:
    found = VScore("judge")(rows(LABELS, LABELS))
    assert isinstance(found, Measured)
    assert (found.value, endpoint.asked) == (1, [])


def test_an_instruction_without_words(endpoint: type[Scripted]) -> None:
    found = VScore("judge")(rows(["a"], ["b"], "?!"))
    assert isinstance(found, Undefined)
    assert "no words" in found.reason
    of_length = VScore("judge")(rows(LINES, LINES, "?!"))
    assert isinstance(of_length, Measured)
    assert of_length.value == 1


def test_in_a_run(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    config = toy_config(toy_stream(tmp_path / "stream", 60), tiny_model, tmp_path / "run")
    config["evaluation"]["metrics"] = ["rouge_l", "v_score"]
    run = inscl.run(config)
    assert run.scores.scales["v_score"].to_json() == {"unit": "percent", "better": "higher"}
    matrix = run.scores.array("v_score")
    for task in ("upper", "backwards", "length"):
        found = read_jsonl(run.path / "stages" / "03-length" / "predictions" / f"{task}.jsonl")
        shares = [row["scores"]["v_score"] for row in found]
        column = run.scores.tasks.index(task)
        assert matrix[3, column] == pytest.approx(100 * sum(shares) / len(shares))
    assert "v score" in inscl.write_report([run.path]).read_text(encoding="utf-8").lower().replace("_", " ")


@pytest.fixture
def made(tmp_path: Path, tiny_model: Path) -> Callable[..., Any]:
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")

    def make(metrics: list[str], judge: Any = None) -> Any:
        return load_config({**config, "evaluation": {"metrics": metrics, **({"judge": judge} if judge else {})}})

    return make


def test_the_judge_decides_the_result_and_where_it_is_does_not(made: Callable[..., Any]) -> None:
    def settings_with(judge: Any) -> dict[str, Any]:
        return deciding_settings(made(["v_score"], judge))["evaluation"]

    assert "judge" not in settings_with(None)  # so that runs of earlier versions are still the same runs
    assert settings_with("m")["judge"] == settings_with({"model": "m", "base_url": "http://x/v1"})["judge"]
    assert settings_with("m") != settings_with("n")


@pytest.mark.parametrize(
    ("metrics", "judge", "said"),
    [
        (["rouge_l"], "m", "no metric of evaluation.metrics asks a judge"),
        (["v_score"], {"model": "m", "concurency": 2}, "evaluation.judge.concurency.*did you mean 'concurrency'"),
        (["v_score"], {"model": "m", "timeout": 0}, "evaluation.judge.timeout"),
        (["v_score"], {"base_url": "http://x/v1"}, "evaluation.judge.model.*is required"),
    ],
)
def test_what_a_judge_can_not_be(made: Callable[..., Any], metrics: list[str], judge: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Parts.of(made(metrics, judge)).check()
