"""A learner that keeps every example as it is."""

from __future__ import annotations

from inscl.contract.traits import LearnerTraits
from plugin_package.inscl_plugin_example.parrot import Parrot


class Keeper(Parrot):
    """The parrot of the guide, which says that it needs no replay."""

    traits = LearnerTraits(replays=False)
