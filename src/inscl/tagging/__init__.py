"""Turns instructions into intention tags, and computes InsInfo from how rare the tags are."""

from __future__ import annotations

from inscl.tagging.cached import CachedTagger
from inscl.tagging.information import instruction_information
from inscl.tagging.merging import MergedTags, merge_tags, merge_tags_with_map
from inscl.tagging.normalise import normalise_tag

__all__ = [
    "CachedTagger",
    "MergedTags",
    "instruction_information",
    "merge_tags",
    "merge_tags_with_map",
    "normalise_tag",
]
