"""One target under atheris: inputs that reach branches which no earlier input reached. Started by `run.py`."""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import atheris

from inscl.config import kinds

sys.path.insert(0, str(Path(__file__).parent.parent))

with atheris.instrument_imports(include=["inscl", "yaml"]):
    from fuzz import inputs, settings_targets, targets

TARGETS = {**targets.TARGETS, **settings_targets.TARGETS}


def main() -> None:
    """``coverage_guided.py TARGET COUNT SEED``; prints the counts as JSON when it has seen them all."""
    name, count, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    kinds._entries = functools.cache(kinds._entries)  # as in run.py
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, text in enumerate(inputs.SOUND_FILES):
            (corpus / str(number)).write_bytes(text)

        def one(content: bytes) -> None:
            value = content if name.startswith("raw_") else content.decode("utf-8", "replace")
            outcomes[TARGETS[name](value, Path(folder))] += 1
            if sum(outcomes.values()) == count:
                print(json.dumps({"inputs": count, "outcomes": outcomes}), flush=True)

        atheris.Setup(
            [sys.argv[0], str(corpus), f"-seed={seed}", f"-runs={count}", "-max_len=400", "-verbosity=0"], one
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
