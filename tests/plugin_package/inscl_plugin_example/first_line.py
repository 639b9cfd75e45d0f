"""A scorer: an answer is right if its first line is."""

from collections.abc import Sequence


def first_line(prediction: str, references: Sequence[str]) -> float:
    """Whether the first line equals that of a reference."""
    lines = [text.strip().splitlines()[:1] for text in references]
    return float(bool(prediction.strip()) and prediction.strip().splitlines()[:1] in lines)
