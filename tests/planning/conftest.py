"""A Ray cluster of two workers on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ray_start import started


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="Ray isn't installed: pip install 'inscl[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        # Workers have the environment in which the cluster starts.
        patch.setenv("OPENAI_API_KEY", "unused")
        patch.setenv("RAY_worker_niceness", "0")  # else they wait for whatever else the machine does
        size = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
        started(ray, lambda: ray.init(include_dashboard=False, log_to_driver=False, **size))
    yield ray
    ray.shutdown()
