"""What InsInfo's picks owe to the tagger: the same instructions ranked by the tags of others, nothing trained.

    python benchmarks/tagger_part.py configs/bench/superni16_seeds.yaml [--out FILE]

For each seed of the grid, at the last stage, every earlier task's instructions are ranked by InsInfo from the tags of

- keyphrases: the tagger that the experiment used;
- words: an instruction's six most telling words by TF-IDF over the same instructions: no knowledge of intentions;
- shuffled: the tags of keyphrases, dealt out to other instructions, which is no knowledge at all.

first_alike is the share of tasks whose most informative instruction, which a budget of one example replays, is the one
that keyphrases has. Correlations are Spearman's within a task, mean over tasks: rank_correlation with InsInfo by
keyphrases, with_words and with_tags with the instruction's length in words and with its number of tags.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer

from inscl.bench.grid.grid import cells_of, load_grid
from inscl.contract import Stream
from inscl.engine.plan import stream_of
from inscl.tagging import instruction_information, merge_tags
from inscl.tagging.keyphrases import KeyphraseTagger

Tags = list[list[str]]


def words(texts: Sequence[str]) -> Tags:
    vectorizer = TfidfVectorizer(stop_words="english", token_pattern=r"[a-zA-Z]{3,}")
    weights = vectorizer.fit_transform(texts).toarray()
    names = vectorizer.get_feature_names_out()
    return [[str(names[i]) for i in row.argsort()[::-1][:6] if row[i] > 0] for row in weights]


def shuffled(texts: Sequence[str]) -> Tags:
    tags = KeyphraseTagger()(texts)
    return [tags[i] for i in np.random.default_rng(0).permutation(len(tags))]


TAGGERS: dict[str, Callable[[Sequence[str]], Tags]] = {
    "keyphrases": KeyphraseTagger(),
    "words": words,
    "shuffled": shuffled,
}


def correlation(tasks: Sequence[Sequence[int]], first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's within each task, mean over the tasks in which both vary."""
    pairs = [([first[i] for i in own], [second[i] for i in own]) for own in tasks]
    vary = [pair for pair in pairs if all(len(set(values)) > 1 for values in pair)]
    return round(float(np.mean([spearmanr(*pair).statistic for pair in vary])), 2)


def measured(stream: Stream) -> list[dict[str, Any]]:
    texts = sorted({text for task in stream.tasks for text in task.instructions})
    place = {text: i for i, text in enumerate(texts)}
    tasks = [[place[text] for text in task.instructions] for task in stream.tasks[:-1]]
    lengths = [len(text.split()) for text in texts]
    rows, known = [], {}
    for name, tagger in TAGGERS.items():
        tags = merge_tags(tagger(texts), None)
        known[name] = [float(value) for value in instruction_information(tags)]
        firsts = [max(own, key=known[name].__getitem__) for own in tasks]
        of_keyphrases = [max(own, key=known["keyphrases"].__getitem__) for own in tasks]
        rows.append(
            {
                "tagger": name,
                "instructions": len(texts),
                "first_alike": round(float(np.mean([a == b for a, b in zip(firsts, of_keyphrases, strict=True)])), 2),
                "rank_correlation": correlation(tasks, known[name], known["keyphrases"]),
                "with_words": correlation(tasks, known[name], lengths),
                "with_tags": correlation(tasks, known[name], [len(own) for own in tags]),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("grid", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    seeds = {cell.seed: cell.config for cell in cells_of(load_grid(given.grid))}
    rows = [{"seed": seed, **row} for seed, config in seeds.items() for row in measured(stream_of(config))]
    for row in rows:
        print(json.dumps(row))
    if given.out:
        content = {"date": date.today().isoformat(), "grid": str(given.grid), "rows": rows}
        given.out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
