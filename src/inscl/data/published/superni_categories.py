"""The 16 tasks that InsCL makes of Super-NaturalInstructions' categories.

The paper's exact composition (its appendix A.2) could not be had, so this follows the benchmark's own ``Categories``
field. Question Answering alone is divided: Mathematics by the task's name, Closed_QA where a passage is given, Open_QA
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["CATEGORIES", "categorize"]

# InsCL's task -> categories of the benchmark; Open_QA and Closed_QA come out of "Question Answering" alone.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "Classification": (
        "Answer Verification",
        "Answerability Classification",
        "Cause Effect Classification",
        "Coherence Classification",
        "Commonsense Classification",
        "Discourse Relation Classification",
        "Entity Relation Classification",
        "Ethics Classification",
        "Fact Verification",
        "Gender Classification",
        "Section Classification",
        "Speaker Relation Classification",
        "Text Categorization",
        "Text Matching",
        "Textual Entailment",
        "Word Relation Classification",
    ),
    "Text_Quality_Evaluation": ("Paper Review", "Text Quality Evaluation"),
    "Code": ("Code to Text", "Text to Code"),
    "Detection": (
        "Grammar Error Detection",
        "Irony Detection",
        "Language Identification",
        "Negotiation Strategy Detection",
        "Punctuation Error Detection",
        "Spam Classification",
        "Spelling Error Detection",
        "Stance Detection",
        "Stereotype Detection",
        "Toxic Language Detection",
    ),
    "Sentiment_Analysis": ("Sentiment Analysis",),
    "Comprehension": (
        "Coreference Resolution",
        "Linguistic Probing",
        "Question Decomposition",
        "Question Understanding",
        "Sentence Ordering",
        "Word Analogy",
        "Word Semantics",
    ),
    "Closed_QA": (),
    "Extraction": (
        "Information Extraction",
        "Keyword Tagging",
        "Named Entity Recognition",
        "Overlap Extraction",
        "Pos Tagging",
    ),
    "Dialogue": (
        "Dialogue Act Recognition",
        "Dialogue Generation",
        "Dialogue State Tracking",
        "Intent Identification",
        "Speaker Identification",
    ),
    "Program_Execution": ("Program Execution",),
    "Rewriting": (
        "Grammar Error Correction",
        "Paraphrasing",
        "Question Rewriting",
        "Sentence Compression",
        "Sentence Expansion",
        "Sentence Perturbation",
        "Style Transfer",
        "Text Simplification",
    ),
    "Open_QA": (),
    "Misc": ("Discourse Connective Identification", "Entity Generation", "Misc.", "Preposition Prediction"),
    "Generation": (
        "Data to Text",
        "Explanation",
        "Fill in The Blank",
        "Poem Generation",
        "Question Generation",
        "Sentence Composition",
        "Story Composition",
        "Text Completion",
        "Wrong Candidate Generation",
    ),
    "Summarization": ("Summarization", "Title Generation"),
    "Mathematics": ("Mathematics", "Number Conversion"),
}

_OF_CATEGORY = {category.lower(): task for task, categories in CATEGORIES.items() for category in categories}
# By name, because the Domains field calls physics word problems physics. Multi-step problems count as Open_QA.
_MATHEMATICAL = re.compile(r"math|arithmetic|aqua|svamp|addsub|singleop")
_PASSAGE = re.compile(r"\b(passage|context|paragraph|story|article)", re.IGNORECASE)
# Below this many words a "context" is one sentence; above this many characters the question itself is a passage.
PASSAGE_WORDS, LONG_QUESTION = 35, 400


def categorize(name: str, category: str, definition: str, inputs: Sequence[str]) -> str | None:
    """Which of the 16 tasks a source task belongs to.

    Args:
        name: The source task's name.
        category: Its category in the benchmark.
        definition: Its instruction.
        inputs: The inputs of all its instances.

    Returns:
        The task's name, or None for a category that the paper leaves out (Translation) or that isn't known.
    """
    if category.lower() != "question answering":
        return _OF_CATEGORY.get(category.lower())
    if _MATHEMATICAL.search(name):
        return "Mathematics"
    count = max(len(inputs), 1)
    words, characters = sum(len(text.split()) for text in inputs) / count, sum(map(len, inputs)) / count
    given = bool(_PASSAGE.search(definition)) and words >= PASSAGE_WORDS
    return "Closed_QA" if given or characters >= LONG_QUESTION else "Open_QA"
