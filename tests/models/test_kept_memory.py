from __future__ import annotations

import subprocess
import sys

import pytest

from inscl.models import kept_memory as module
from inscl.models.kept_memory import kept_memory

COUNTS = """
import ctypes
import resource
from inscl.models.kept_memory import kept_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        blocks = [libc.malloc(7 << 20) for _ in range(8)]
        for block in blocks:
            ctypes.memset(block, 1, 7 << 20)
        for block in blocks:
            libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
without = faults()
with kept_memory():
    faults()
    within = faults()
print(without, within, faults())
"""


class Recorded:
    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def mallopt(self, setting: int, value: int) -> int:
        self.calls.append((setting, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.calls.append((pad,))
        return 1


def test_the_outermost_block_keeps_and_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Recorded()
    monkeypatch.setattr(module, "_glibc", lambda: libc)
    with kept_memory():
        begun = len(libc.calls)
        with kept_memory():
            pass
        assert len(libc.calls) == begun == 3
        assert (-1, 1 << 30) in libc.calls
    assert libc.calls[begun:] == [(-1, 64 << 20), (-2, 0), (0,)]
    with pytest.raises(ValueError, match="kept"), kept_memory():
        raise ValueError("kept")
    assert libc.calls[-1] == (0,)


def test_nothing_happens_without_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_glibc", lambda: None)
    with kept_memory():
        pass


@pytest.mark.skipif(module._glibc() is None, reason="glibc's settings")
def test_the_system_is_asked_for_fewer_pages() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTS], capture_output=True, text=True, timeout=120, check=True)
    without, within, afterwards = map(int, done.stdout.split())
    assert within < min(without, afterwards) / 10
