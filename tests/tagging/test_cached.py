from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from inscl.contract.traits import TaggerTraits
from inscl.errors import ModelError
from inscl.storage.files.cache import Cache
from inscl.tagging import CachedTagger
from inscl.tagging.cached import encode_tags


class Letters:
    fingerprint = "letters/1"

    def __init__(self):
        self.asked = []

    def __call__(self, instructions):
        self.asked += instructions
        return [[f"has {letter}" for letter in sorted(set(text))] for text in instructions]


def test_each_instruction_is_tagged_once_over_runs(tmp_path):
    tagger = Letters()
    cached = CachedTagger(tagger, tmp_path / "tags.sqlite")
    assert cached(["ab", "b", "ab", ""]) == [["has a", "has b"], ["has b"], ["has a", "has b"], []]
    assert (tagger.asked, cached.computed) == (["ab", "b", ""], 3)

    again = CachedTagger(tagger, tmp_path / "tags.sqlite")
    assert again(["", "c", "ab"]) == [[], ["has c"], ["has a", "has b"]]
    assert (tagger.asked[3:], again.computed) == (["c"], 1)


def test_another_fingerprint_is_another_tagger(tmp_path):
    CachedTagger(Letters(), tmp_path / "tags.sqlite")(["a"])
    other = Letters()
    other.fingerprint = "letters/2"
    cached = CachedTagger(other, tmp_path / "tags.sqlite")
    cached(["a"])
    assert cached.computed == 1


def test_unicode_survives(tmp_path):
    class Echo:
        fingerprint = "echo"

        def __call__(self, instructions):
            return [[text] for text in instructions]

    texts = ["é", "e\u0301", "日本語", "\ud800", "a\x00b", "🙂"]
    for _ in range(2):
        assert CachedTagger(Echo(), tmp_path / "tags.sqlite")(texts) == [[text] for text in texts]


def test_a_tagger_without_fingerprint_is_remembered_by_this_object_alone(tmp_path):
    tagger = Letters()
    tagger.fingerprint = None
    cached = CachedTagger(tagger, tmp_path / "tags.sqlite")
    assert cached.known(["a"]) == {}
    assert cached(["a", "b"]) == cached(["a", "b"]) == [["has a"], ["has b"]]
    assert cached.known(["a", "c"]) == {"a": ["has a"]}
    assert cached.computed == 2
    assert not (tmp_path / "tags.sqlite").exists()
    assert CachedTagger(tagger, tmp_path / "tags.sqlite").known(["a"]) == {}


@pytest.mark.parametrize("result", [[["x"]], [["x"], [1]], ["x", "y"], [["x"], ["y"], ["z"]]])
def test_a_tagger_that_gives_something_else_is_told(tmp_path, result):
    with pytest.raises(ModelError, match="the tagger function gave"):
        CachedTagger(lambda instructions: result, tmp_path / "tags.sqlite")(["a", "b"])


def test_what_is_known_is_told_without_asking(tmp_path):
    cached = CachedTagger(Letters(), tmp_path / "tags.sqlite")
    cached(["a"])
    assert cached.known(["a", "b"]) == {"a": ["has a"]}
    assert cached.computed == 1


def test_an_interruption_loses_no_more_than_the_last_tags(tmp_path):
    class Dying(Letters):
        def __call__(self, instructions):
            if len(self.asked) >= 512:
                raise KeyboardInterrupt
            return super().__call__(instructions)

    texts = [f"text {number}" for number in range(600)]
    with pytest.raises(KeyboardInterrupt):
        CachedTagger(Dying(), tmp_path / "tags.sqlite")(texts)
    resumed = Letters()
    assert len(CachedTagger(resumed, tmp_path / "tags.sqlite")(texts)) == 600
    assert resumed.asked == texts[512:]


def test_a_tagger_that_keeps_its_answers_is_asked_for_all_at_once(tmp_path):
    class Keeping(Letters):
        traits = TaggerTraits(keeps_answers=True)
        calls = 0

        def __call__(self, instructions):
            self.calls += 1
            return super().__call__(instructions)

    tagger = Keeping()
    CachedTagger(tagger, tmp_path / "tags.sqlite")([f"text {number}" for number in range(600)])
    assert tagger.calls == 1


def test_what_another_process_is_tagging_is_not_tagged_twice(tmp_path):
    tagger = Letters()
    cached = CachedTagger(tagger, tmp_path / "tags.sqlite")
    store = Cache(cached.path, tagger.fingerprint)
    with ThreadPoolExecutor(1) as pool:
        with store.alone():
            asked = pool.submit(cached, ["ab", "c"])
            assert not wait([asked], timeout=0.5).done
            store.put({"ab": encode_tags(["theirs"])})
        assert asked.result(30) == [["theirs"], ["has c"]]
    assert tagger.asked == ["c"]
    assert [path.name for path in tmp_path.iterdir()] == ["tags.sqlite"]
