"""How needs are read: an adapter that ships, is the same by both libraries, changes no index, and is trained by a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from papers.encoding import encoders
from papers.encoding.adapter import Adapter, read, save
from papers.encoding.compiled import CompiledEncoder
from papers.encoding.encoders import (
    PACKAGED,
    EncoderError,
    SentenceTransformerEncoder,
    open_encoder,
    packaged_folder,
    read_by,
)
from recommender import adapter, adapting, services
from recommender.adapter import adapter_for, shipped
from recommender.adapting import Answered, Shelf
from recommender.wording import kept_of, lens_for
from tests.factories import make_paper

PAPERS = (
    "Folded caches: keys and values of long prompts are kept in two bits, so that more users fit on one card.",
    "A detector of a few kilobytes finds animals on cameras that run on a battery for a year.",
    "Ranks of gradients are lowered between machines, and training over slow links waits less.",
    "A network for speech reads every second frame only, and writes down what was said while it is said.",
)
NEEDS = (
    "My chatbot runs out of room when people talk for long", "wildlife trap that must live on two AA cells",
    "our two data centres have a thin line between them", "captions for live television without delay",
    "more parallel conversations per GPU", "spot deer with a microcontroller", "cheap Ethernet cluster waits all the time",
    "transcribe meetings as people talk",
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


def test_the_one_that_ships_is_of_the_packaged_encoder_and_says_what_it_was_trained_on() -> None:
    assert adapter_for(PACKAGED) is shipped()
    assert adapter_for("another") is None
    assert shipped().trained_on["needs"] > 5000
    assert adapter.STORED.stat().st_size < 2e6


def test_needs_are_read_alike_by_both_libraries_and_unlike_papers(cache: Path) -> None:
    compiled, library = open_encoder(PACKAGED, cache, shipped()), open_encoder(PACKAGED, None, shipped())
    assert isinstance(compiled, CompiledEncoder)
    assert isinstance(library, SentenceTransformerEncoder)
    assert np.abs(compiled.encode(NEEDS) - library.encode(NEEDS)).max() < 1e-4
    as_papers = open_encoder(PACKAGED, cache).encode(NEEDS)
    assert (compiled.encode(NEEDS) * as_papers).sum(axis=1).max() < 0.98


def test_an_adapter_of_another_network_is_refused_with_its_module(cache: Path, tmp_path: Path) -> None:
    wrong = Adapter(
        PACKAGED, {"encoder.layer.9.output.dense": (np.ones((4, 1), np.float32), np.ones((1, 4), np.float32))}, {}
    )
    with pytest.raises(EncoderError, match=r"encoder\.layer\.9"):
        open_encoder(PACKAGED, cache, wrong)
    save(wrong, tmp_path / "wrong.npz")
    assert read(tmp_path / "wrong.npz").changes.keys() == wrong.changes.keys()


def test_training_draws_needs_to_the_papers_that_answer_them(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(adapting, "BATCH", 4)
    monkeypatch.setattr(adapting, "EPOCHS", 12)
    encoder, lens = open_encoder(PACKAGED, cache), lens_for(PACKAGED)
    assert lens is not None
    vectors, pieces = read_by(encoder, PAPERS)
    answered = [Answered(text, {at % 4: 3}) for at, text in enumerate(NEEDS)]
    losses: list[float] = []
    changes = adapting.fit(
        packaged_folder(),
        Shelf(vectors, kept_of(lens, pieces)),
        lens,
        answered,
        lambda _, __, loss: losses.append(loss),
    )
    assert len(losses) == 24
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])
    trained = open_encoder(PACKAGED, cache, Adapter(PACKAGED, changes, {}))

    def share_right(reader: encoders.Encoder) -> float:
        near = np.exp(20 * reader.encode(NEEDS) @ vectors.T)
        return float(np.mean([row[at % 4] / row.sum() for at, row in enumerate(near)]))

    assert share_right(trained) > share_right(encoder)


def test_only_the_packaged_encoder_is_trained(settings: Any) -> None:
    settings.ENCODER = "another"
    with pytest.raises(CommandError, match="only 'packaged-minilm' can be trained"):
        call_command("train_needs_reader", "needs.jsonl")


@pytest.mark.django_db
def test_the_command_names_the_line_at_fault(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: Any
) -> None:
    settings.ENCODER, settings.INDEX_DIR = PACKAGED, tmp_path / "index"
    monkeypatch.setattr(services, "_open", services._Open())
    monkeypatch.setattr(services, "open_encoder", lambda *_: type(encoder)(PACKAGED))
    make_paper(title="Folded Caches", abstract=PAPERS[0])
    path = tmp_path / "needs.jsonl"
    lines = [{"need": "more users on a card", "grades": {"Folded Caches": 3}}, {"need": "no grades at all"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(CommandError, match="line 2: field 'grades' is missing"):
        call_command("train_needs_reader", str(path))
    path.write_text(json.dumps(lines[0]))
    with pytest.raises(CommandError, match="1 of these files have a graded paper in the index; at least 32"):
        call_command("train_needs_reader", str(path))
    with pytest.raises(CommandError, match=r"nowhere\.jsonl: cannot be read"):
        call_command("train_ranking", str(tmp_path / "nowhere.jsonl"))
    with pytest.raises(CommandError, match=r"--reader .*holds no adapter"):
        call_command("train_ranking", str(path), "--reader", str(path))


def test_a_name_is_read_as_papers_are_and_a_need_by_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "encoder", lambda: "as papers")
    monkeypatch.setattr(services, "needs_reader", lambda: "as needs")
    assert [services.reader_of(text) for text in ("FlashAttention", "KV cache", "smaller KV cache", " ")] == [
        "as papers", "as papers", "as needs", "as papers",
    ]  # fmt: skip
