from __future__ import annotations

from pathlib import Path
from typing import Any

from inscl.config.loading import load_config
from inscl.contract import Example, Task
from inscl.storage.run.shared_scores import SharedScores

TASK = Task("t", (Example("do", "a", ("b",)),), (Example("do", "c", ("d",)),))
SCORES = {"rouge_l": {"mean": 50.0, "standard_error": None, "n": 1}}


def shared(folder: Path | None, model: str = "m", **settings: Any) -> SharedScores:
    return SharedScores(folder, load_config(settings), model)


def test_what_was_put_is_found_by_another_run_of_the_same_settings(tmp_path: Path) -> None:
    shared(tmp_path, seed=3).put("expert", TASK, SCORES)
    assert shared(tmp_path, seed=3, replay={"strategy": "none"}).get("expert", TASK) == SCORES
    assert shared(tmp_path, seed=3).get("base", TASK) is None


def test_whatever_decides_the_scores_is_part_of_the_key(tmp_path: Path) -> None:
    shared(tmp_path).put("expert", TASK, SCORES)
    other = Task("t", (*TASK.train, Example("do", "e", ("f",))), TASK.test)
    assert shared(tmp_path).get("expert", other) is None
    assert shared(tmp_path, model="another").get("expert", TASK) is None
    assert shared(tmp_path, seed=1).get("expert", TASK) is None
    assert shared(tmp_path, training={"epochs": 5}).get("expert", TASK) is None
    assert shared(tmp_path, evaluation={"metrics": ["exact_match"]}).get("expert", TASK) is None


def test_the_base_models_scores_depend_on_no_training_and_no_seed(tmp_path: Path) -> None:
    shared(tmp_path).put("base", TASK, SCORES)
    assert shared(tmp_path, seed=1, training={"epochs": 5}).get("base", TASK) == SCORES
    plain = SharedScores(tmp_path, load_config({"model": {"prompt": "plain"}}), "m")
    assert plain.get("base", TASK) is None


def test_without_a_folder_nothing_is_kept() -> None:
    shared(None).put("expert", TASK, SCORES)
    assert shared(None).get("expert", TASK) is None


def test_how_often_progress_is_kept_decides_nothing(tmp_path: Path) -> None:
    shared(tmp_path).put("expert", TASK, SCORES)
    for every in (0, 5, None):
        assert shared(tmp_path, training={"save_every": every}).get("expert", TASK) == SCORES


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    shared(tmp_path).put("expert", TASK, SCORES)
    [path] = tmp_path.iterdir()
    good = path.read_bytes()
    for content in (good[:-9], good.replace(b"50.0", b"70.0"), b"[]"):
        path.write_bytes(content)
        assert shared(tmp_path).get("expert", TASK) is None
        shared(tmp_path).put("expert", TASK, SCORES)
        assert path.read_bytes() == good


def test_only_one_run_claims_a_task_at_a_time(tmp_path: Path) -> None:
    one, other = shared(tmp_path), shared(tmp_path, replay={"strategy": "none"})
    with one.claimed("expert", TASK) as ours:
        assert ours
        with other.claimed("expert", TASK) as theirs:
            assert not theirs
        with other.claimed("base", TASK) as theirs, shared(tmp_path, seed=1).claimed("expert", TASK) as another:
            assert theirs
            assert another
    with other.claimed("expert", TASK) as theirs:
        assert theirs
    assert list(tmp_path.iterdir()) == []
    with shared(None).claimed("expert", TASK) as ours:
        assert ours
