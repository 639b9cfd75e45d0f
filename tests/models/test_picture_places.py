"""Positions of pictures' own, against those that transformers computes, moved by the same number in each row."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inscl.models.picture_places import own_places, placed
from seeing_models import make_qwen


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> object:
    from transformers import AutoModelForImageTextToText

    folder = make_qwen("qwen2_vl", tiny_model, tmp_path_factory.mktemp("qwen"))
    return AutoModelForImageTextToText.from_pretrained(folder).model


GRIDS = {7: (4, 6), 9: (8, 2)}
"""Patches of two pictures in height and width; four are a token."""


def places_of(height: int, width: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height // 2), torch.arange(width // 2), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns]).reshape(3, -1)


PLACES = {key: places_of(*grid) for key, grid in GRIDS.items()}
TEXTS = [[-1] * 3 + [7] * 6 + [-1] * 2 + [9] * 4 + [-1] * 4, [9] * 4 + [7] * 6 + [-1], [-1] * 5]


def expected(model: object, keys: list[int]) -> torch.Tensor:
    kinds = torch.tensor([[int(key >= 0) for key in keys]])
    grids = torch.tensor([(1, *GRIDS[key]) for key in dict.fromkeys(keys) if key >= 0] or [(1, 2, 2)])
    found, _ = model.get_rope_index(kinds.clone(), kinds, image_grid_thw=grids)  # type: ignore[attr-defined]
    return found[:, 0]


@pytest.mark.parametrize("keys", [TEXTS[0], [*TEXTS[1][:4], -1, *TEXTS[1][4:]], TEXTS[2]])
def test_each_row_is_transformers_own_moved_as_a_whole(model: object, keys: list[int]) -> None:
    counted = torch.arange(len(keys))[None]
    found = placed(torch.tensor([keys]), counted, PLACES)[:, 0]
    moved = found - expected(model, keys)
    assert moved.unique().numel() == 1
    assert found[:, -1].tolist() == [len(keys) - 1] * 3  # whoever reads on counts
    assert (moved.max() > 0) == (max(keys) >= 0)


def test_texts_in_one_row_and_padding_keep_apart() -> None:
    alone = [placed(torch.tensor([keys]), torch.arange(len(keys))[None], PLACES)[:, 0] for keys in TEXTS]
    packed = torch.tensor([[key for keys in TEXTS for key in keys]])
    counted = torch.tensor([[k for keys in TEXTS for k in range(len(keys))]])
    assert torch.equal(placed(packed, counted, PLACES)[:, 0], torch.cat(alone, dim=1))
    padded = torch.tensor([[-1, -1, *TEXTS[1]], [-1, *[-1] * 12]])
    counts = torch.tensor([[0, 0, *range(len(TEXTS[1]))], list(range(13))])
    found = placed(padded, counts, PLACES)
    assert torch.equal(found[:, 0, 2:], alone[1])
    assert torch.equal(found[:, 1], counts[1].expand(3, -1))


def test_only_three_axes_are_positions_of_its_own() -> None:
    taken = torch.tensor([[False, True, True]])
    assert own_places(None, taken) is None
    assert own_places(torch.arange(3)[None], taken) is None
    axes = torch.tensor([[[0, 4, 4]], [[0, 4, 5]], [[0, 4, 4]]])
    for given in (axes, torch.cat([torch.arange(3)[None, None], axes])):
        found = own_places(given, taken)
        assert found is not None
        assert found.tolist() == [[0, 0], [0, 1], [0, 0]]
