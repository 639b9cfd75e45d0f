"""Ratings: order, histories, the split by time, and the examples made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inscl.data.histories import History
from inscl.data.ratings import Rating, Ratings, Wording, rating_example, read_ratings
from inscl.errors import DataError

COLUMNS = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
ITEMS = {name: (f"Film {name}", f"a film called {name}") for name in "abcd"}
WORDING = Wording("Say Yes or No.", "Seen:", "Will they like {item}?", "{item}: {rating:g}", task="films")


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["\t".join(COLUMNS), *("\t".join(row.split()) for row in rows)]) + "\n")
    return path


def test_a_history_is_what_the_same_user_rated_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [Rating(str(rng.integers(4)), str(k), float(rng.integers(1, 6)), int(rng.integers(12))) for k in range(60)]
    lines = [f"{row.user} {row.item} {row.value} {row.time}" for row in rows]
    ratings = read_ratings(table(tmp_path / "r.tsv", *lines), *COLUMNS)
    assert [(row.time, int(row.item)) for row in ratings.rows] == sorted((row.time, int(row.item)) for row in rows)
    for place, target in enumerate(ratings.rows):
        earlier = [
            row
            for row in rows
            if row.user == target.user and (row.time, int(row.item)) < (target.time, int(target.item))
        ]
        assert ratings.before(place) == tuple(sorted(earlier, key=lambda row: (row.time, int(row.item))))
    pairs = [(row.user, row.time) for row in rows]
    assert ratings.tied == sum(pairs.count(pair) > 1 for pair in pairs)


@pytest.mark.parametrize(("count", "sizes"), [(100, [80, 10, 10]), (7, [5, 1, 1]), (1, [0, 0, 1]), (0, [0, 0, 0])])
def test_the_split_is_by_time_for_all_users_together(count: int, sizes: list[int]) -> None:
    ratings = Ratings.in_order(Rating(str(k % 3), "i", 1.0, -k) for k in range(count))
    parts = ratings.split()
    assert [len(part) for part in parts] == sizes
    assert [place for part in parts for place in part] == list(range(count))
    assert [row.time for row in ratings.rows] == sorted(-k for k in range(count))


def test_the_example_of_a_rating(tmp_path: Path) -> None:
    ratings = read_ratings(table(tmp_path / "r.tsv", "u c 5 3", "u a 2 1", "v a 3 1", "u b 4.5 2", "v d 4 9"), *COLUMNS)
    profiles = {"u": "User u.", "v": ""}
    made = [rating_example(ratings, place, 1, WORDING, ITEMS, profiles) for place in range(5)]
    assert [example.input for example in made] == [
        "User u.\n\nWill they like Film a?",
        "Will they like Film a?",
        "User u.\n\nSeen:\nFilm a: 2\n\nWill they like Film b?",
        "User u.\n\nSeen:\nFilm b: 4.5\n\nWill they like Film c?",
        "Seen:\nFilm a: 3\n\nWill they like Film d?",
    ]
    assert [example.output for example in made] == ["No", "No", "Yes", "Yes", "Yes"]
    assert {example.options for example in made} == {("Yes", "No")}
    history = History.of(made[3])
    assert history is not None
    assert [item.line for item in history.items] == ["Film a: 2", "Film b: 4.5"]
    assert (history.target, history.items[0].text) == ("a film called c", "a film called a")
    with pytest.raises(DataError, match="the item 'a' was rated and isn't described"):
        rating_example(ratings, 2, 1, WORDING, {"b": ITEMS["b"]}, profiles)
    with pytest.raises(DataError, match="the user 'v' was rated and isn't described"):
        rating_example(ratings, 1, 1, WORDING, ITEMS, {})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("u a x 1", "line 3: the column 'rating:float' holds 'x'; expected a number"),
        ("u a 3 nan", "line 3: the column 'timestamp:float' holds 'nan'; expected a number"),
        ("u a 3", "line 3: "),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(DataError) as refused:
        read_ratings(table(tmp_path / "r.tsv", "u a 3 1", row), *COLUMNS)
    assert said in str(refused.value)


def test_a_file_without_ratings_or_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no rating"):
        read_ratings(table(tmp_path / "r.tsv"), *COLUMNS)
    with pytest.raises(DataError, match="the column 'when' is missing or empty"):
        read_ratings(table(tmp_path / "r.tsv", "u a 3 1"), *COLUMNS[:3], "when")
