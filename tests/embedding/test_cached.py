"""What was embedded once is not embedded again, and a cache that can't be trusted isn't."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

from inscl.embedding.cached import CachedEmbedder
from inscl.embedding.hidden_states import ModelEmbedder
from inscl.errors import ModelError, WorkspaceError
from inscl.storage.files.cache import Cache


class Spelling:
    """Length and first letter of a text; notes what it was asked for."""

    def __init__(self, fingerprint="spelling:1", width=2):
        self.fingerprint, self.width, self.asked = fingerprint, width, []

    def __call__(self, texts):
        self.asked.append(list(texts))
        return np.array([[len(t) / 3, *([ord(t[0]) if t else 0] * (self.width - 1))] for t in texts], dtype=np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "embeddings.sqlite"


def test_only_distinct_missing_texts_are_embedded(path):
    embedder = Spelling()
    cached = CachedEmbedder(embedder, path)
    first = cached(["one", "three", "one", ""])
    np.testing.assert_array_equal(first, Spelling()(["one", "three", "one", ""]))
    assert first.dtype == np.float32
    np.testing.assert_array_equal(cached(["five", "three"]), Spelling()(["five", "three"]))
    assert embedder.asked == [["one", "three", ""], ["five"]]
    assert cached.computed == 4


def test_a_second_run_embeds_nothing_and_gets_the_same_bits(path):
    texts = ["α β", "line\nbreak", "nul \0 inside", "lone \ud800 surrogate", "🙂" * 1000]
    first = CachedEmbedder(Spelling(), path)(texts)
    second = CachedEmbedder(Spelling(), path)
    assert second(texts[::-1]).tobytes() == first[::-1].tobytes()
    assert second.computed == 0
    assert second.embedder.asked == []


def test_another_embedder_is_never_answered_from_the_cache(path):
    CachedEmbedder(Spelling(), path)(["one"])
    other = CachedEmbedder(Spelling("spelling:2"), path)
    other(["one"])
    assert (other.fingerprint, other.computed) == ("spelling:2", 1)


def test_without_a_fingerprint_nothing_is_kept(path):
    cached = CachedEmbedder(lambda texts: Spelling()(texts), path)
    assert cached.fingerprint is None
    cached(["one", "one"])
    cached(["one"])
    assert cached.computed == 2
    assert not path.exists()


def test_no_texts(path):
    embedder = Spelling()
    assert CachedEmbedder(embedder, path)([]).shape == (0, 0)
    assert embedder.asked == []


def test_more_texts_than_one_statement_or_one_chunk_can_hold(path):
    texts = [f"text {k}" for k in range(1300)]
    np.testing.assert_array_equal(CachedEmbedder(Spelling(), path)(texts), Spelling()(texts))
    again = CachedEmbedder(Spelling(), path)
    np.testing.assert_array_equal(again(texts), Spelling()(texts))
    assert again.computed == 0


def test_an_interruption_keeps_what_was_done(path):
    texts = [f"text {k}" for k in range(600)]

    class Interrupted(Spelling):
        def __call__(self, texts):
            if self.asked:
                raise KeyboardInterrupt
            return super().__call__(texts)

    with pytest.raises(KeyboardInterrupt):
        CachedEmbedder(Interrupted(), path)(texts)
    resumed = CachedEmbedder(Spelling(), path)
    resumed(texts)
    assert 0 < resumed.computed < 600


@pytest.mark.parametrize("damage", [b"", b"\x00\x00\x00\x00", b"\x01\x02\x03", b"\x00" * 12, None])
def test_a_damaged_value_is_embedded_again(path, damage):
    expected = CachedEmbedder(Spelling(), path)(["one", "two"])
    with sqlite3.connect(path) as connection:
        rows = dict(connection.execute("SELECT key, value FROM cache"))
        for key, value in rows.items():
            flipped = value[:-1] + bytes([value[-1] ^ 1])
            connection.execute("UPDATE cache SET value = ? WHERE key = ?", (flipped if damage is None else damage, key))
    connection.close()
    repaired = CachedEmbedder(Spelling(), path)
    np.testing.assert_array_equal(repaired(["one", "two"]), expected)
    assert repaired.computed == 2
    assert CachedEmbedder(Spelling(), path)(["one"]).shape == (1, 2)


def test_a_file_that_is_no_cache_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(WorkspaceError, match=r"can't use the cache .* delete the file"):
        CachedEmbedder(Spelling(), path)(["one"])


def test_an_embedder_that_changed_under_the_same_fingerprint_is_found_out(path):
    CachedEmbedder(Spelling(), path)(["one"])
    with pytest.raises(ModelError, match=r"different lengths \(\[2, 3\]\).*fingerprint"):
        CachedEmbedder(Spelling(width=3), path)(["one", "two"])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((1, 2)), r"gave shape \(1, 2\) for 2 texts; expected \(2, d\)"),
        (np.zeros(2), r"gave shape \(2,\) for 2 texts"),
        (np.zeros((2, 0)), r"gave shape \(2, 0\) for 2 texts"),
        (np.array([[1.0], [np.nan]]), "gave NaN or an infinity for the text 'two'"),
    ],
)
def test_an_embedder_that_gives_nonsense_is_refused_and_nothing_is_kept(path, result, message):
    class Nonsense:
        fingerprint = "nonsense"

        def __call__(self, texts):
            return result

    with pytest.raises(ModelError, match=message):
        CachedEmbedder(Nonsense(), path)(["one", "two"])
    assert not path.exists()


def test_a_model_whose_texts_are_all_cached_is_never_loaded(path, tmp_path):
    # A folder with a fingerprint and no loadable weights: loading it would fail.
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    stand_in = Spelling(ModelEmbedder(str(folder)).fingerprint)
    expected = CachedEmbedder(stand_in, path)(["one", "two"])
    program = (
        "import sys, numpy\nfrom pathlib import Path\n"
        "from inscl.embedding.cached import CachedEmbedder\nfrom inscl.embedding.hidden_states import ModelEmbedder\n"
        f"cached = CachedEmbedder(ModelEmbedder({str(folder)!r}), Path({str(path)!r}))\n"
        "vectors = cached(['one', 'two'])\n"
        f"assert vectors.tolist() == {expected.tolist()!r} and cached.computed == 0\n"
        "loaded = {'torch', 'transformers', 'sentence_transformers', 'sklearn'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_another_process_is_embedding_is_not_embedded_twice(path):
    embedder = Spelling()
    cached = CachedEmbedder(embedder, path)
    with ThreadPoolExecutor(1) as pool:
        with Cache(path, embedder.fingerprint).alone():
            asked = pool.submit(cached, ["one", "five"])
            assert not wait([asked], timeout=0.5).done
            theirs = CachedEmbedder(Spelling(), path)
            theirs._complete({}, ["one"], Cache(path, embedder.fingerprint))
        np.testing.assert_array_equal(asked.result(30), Spelling()(["one", "five"]))
    assert embedder.asked == [["five"]]
