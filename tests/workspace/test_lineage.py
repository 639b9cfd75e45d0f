from __future__ import annotations

from pathlib import Path

import pytest

from inscl.config.loading import load_config
from inscl.storage.run.run_folder import Record
from inscl.workspace.lineage import StageFolder, trained_on


def folders(root: Path, *stages: tuple[int, str, int | None]) -> list[StageFolder]:
    made = []
    for number, key, group in stages:
        record = Record(root / str(group) / str(number), number, key)
        record.model.mkdir(parents=True)
        made.append(StageFolder(record, key, group))
    return made


STAGES = ((1, "a", None), (2, "b", None), (3, "c", None), (2, "x", 1), (3, "y", 1))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("keep", [(2, None, "learned"), (3, None, "built on"), (3, 1, "replayed")]),
        ("fresh", [(2, None, "learned"), (3, 1, "replayed")]),
    ],
)
def test_who_learned_who_replayed_and_who_was_built_on_them(
    tmp_path: Path, mode: str, expected: list[tuple[int, int | None, str]]
) -> None:
    settings = load_config({"model": {"adapter": {"mode": mode}}})
    found = trained_on(folders(tmp_path, *STAGES), settings, {"b": 4}, lambda record: 2 * (record.task == "y"))
    kept = [(stage.stage, stage.discarded, stage.how) for stage in found]
    # Stage 3 that was discarded comes after a stage 2 of its own group, which saw nothing.
    assert kept == expected
    assert [stage.examples for stage in found if stage.how != "built on"] == [4, 2]


def test_a_stage_whose_weights_are_gone_needs_no_mention(tmp_path: Path) -> None:
    stages = folders(tmp_path, *STAGES)
    stages[1].record.model.rmdir()
    found = trained_on(stages, load_config({}), {"b": 4}, lambda record: 0)
    assert [(stage.stage, stage.discarded) for stage in found] == [(3, None), (3, 1)]
