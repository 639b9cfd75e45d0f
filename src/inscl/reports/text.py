"""Text as it may appear on the page: nothing hidden, nothing that changes its surroundings, nothing endless."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from inscl.contract.scale import Scale
from inscl.data.quoting import plain, visible

__all__ = ["amount", "duration", "name", "plain", "said", "scorer_name", "setting", "unit_name", "value", "visible"]

_SCORERS = {
    "rouge_l": "Rouge-L",
    "exact_match": "exact match",
    "token_f1": "token F1",
    "answer_loss": "answer loss",
    "token_accuracy": "token accuracy",
    "choice_accuracy": "choice accuracy",
    "auc": "area under the curve",
    "log_loss": "log loss",
}


def said(text: str, limit: int) -> Markup:
    """`text`, escaped and isolated from the direction of its surroundings; what is cut says how long it was."""
    if not text:
        return Markup('<em class="quiet">empty</em>')
    if len(text) <= limit:
        return Markup("<bdi>{}</bdi>").format(visible(text))
    whole = f"{len(text):,} characters in all"
    return Markup('<bdi>{}…</bdi> <small class="cut">{}</small>').format(visible(text[:limit]), whole)


def name(text: str, limit: int = 60) -> Markup:
    """A task's or a run's name, isolated, that may be broken after its underscores."""
    parts = plain(text, limit).split("_")
    return Markup("<bdi>{}</bdi>").format(Markup("_<wbr>").join(parts))


def scorer_name(scorer: str) -> str:
    """How a scorer is called in a sentence."""
    return _SCORERS.get(scorer, scorer)


def unit_name(scale: Scale) -> str:
    """In what a metric is, and which direction is good where that is the less usual one."""
    return scale.unit + (", lower is better" if scale.better == "lower" else "")


def value(number: float | None, digits: int = 1) -> str:
    """A number with a real minus sign; a dash where there is none."""
    if number is None:
        return "–"
    text = f"{number:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def amount(number: float | None) -> str:
    """A whole number with thousands separated."""
    return value(number, 0)


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: ``0.4 s``, ``48 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def setting(given: Any) -> str:
    """A value of a configuration as YAML would write it, nearly."""
    if given is None:
        return "not set"
    if isinstance(given, bool):
        return "on" if given else "off"
    if isinstance(given, dict):
        return ", ".join(f"{key} {setting(item)}" for key, item in given.items()) or "none"
    if isinstance(given, list | tuple):
        return ", ".join(setting(item) for item in given) or "none"
    return str(given)
