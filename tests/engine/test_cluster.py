"""Where Ray is looked for, and what is said where it isn't."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from inscl.engine.cluster import address_of, connected
from inscl.errors import ConfigError, EndpointError, MissingExtraError


def test_an_address_is_rays_own() -> None:
    assert address_of("ray") is None
    assert address_of("ray://head:10001") == "ray://head:10001"
    for wrong in ("rays", "ray://", "http://head", ""):
        with pytest.raises(ConfigError, match="expected local, ray or ray://HOST:10001"):
            address_of(wrong)


def test_without_ray_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def absent(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return there(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"a grid on Ray .*inscl\[ray\]"), connected(None, "a grid on Ray"):
        pass


def test_a_port_where_no_cluster_listens_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'inscl[ray]'")
    from ray.util.client import worker

    for name in ("INITIAL_TIMEOUT_SEC", "MAX_TIMEOUT_SEC"):
        monkeypatch.setattr(worker, name, 1)
    with (
        pytest.raises(EndpointError, match="no Ray cluster answers at ray://127"),
        connected("ray://127.0.0.1:9", "a grid on Ray"),
    ):
        pass
