"""Peak memory of a process that embeds by a model and fine-tunes it: base weights loaded twice, and once.

    python benchmarks/peak_memory.py --model smollm2-135m --precision bf16

Each way runs in a process of its own: some instructions are embedded, an adapter is trained for a step or two, and the
instructions are embedded again. *Twice* gives the embedder weights of its own in float32, as transformers loads them;
*once* is what inscl does. Printed are the peaks of resident memory, and how far the two ways' vectors lie apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from inscl.contract import Example, Task
from inscl.contract.plan import ReplayPlan

TEXTS = [f"Sort these {number} words by their length and say which is the longest." for number in range(32)]


def measured(way: str, model: str, precision: str) -> dict[str, Any]:
    """One way, in this process: peak in MiB, and the vectors at the end."""
    from inscl.embedding.hidden_states import ModelEmbedder
    from inscl.learners import FineTune

    embed: Callable[[Sequence[str]], Any] = _apart(model) if way == "twice" else ModelEmbedder(model)
    embed(TEXTS)
    learner = FineTune(model, precision=precision, epochs=1, batch_size=2)
    examples = tuple(Example(text, "", ("the longest",)) for text in TEXTS[:4])
    learner.learn(Task("sort", examples, ()), ReplayPlan.nothing("sort"))
    vectors = np.asarray(embed(TEXTS), dtype=float)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak": peak, "vectors": vectors.tolist()}


def _apart(name: str) -> Callable[[Sequence[str]], Any]:
    """An embedder with float32 weights of its own."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from inscl.models.names import resolve

    folder = resolve(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def embed(texts: Sequence[str]) -> Any:
        with torch.inference_mode():
            encoded = [torch.tensor([tokenizer(text).input_ids]) for text in texts]
            return np.stack([network(ids).last_hidden_state[0].mean(0).numpy() for ids in encoded])

    return embed


def main() -> None:
    """Run both ways and print their peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="alias, folder, GGUF file or hub id")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"), help="of the learner")
    parser.add_argument("--way", choices=("once", "twice"), help="run this one here and print it as JSON")
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measured(given.way, given.model, given.precision)))
        return
    found = {}
    for way in ("twice", "once"):
        command = [sys.executable, __file__, "--model", given.model, "--precision", given.precision, "--way", way]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[way] = json.loads(output.strip().splitlines()[-1])
        print(f"base weights loaded {way}: peak of {found[way]['peak']:.0f} MiB")
    apart = np.abs(np.subtract(found["twice"]["vectors"], found["once"]["vectors"])).max()
    print(f"largest difference between the vectors: {apart:.2g}")


if __name__ == "__main__":
    main()
