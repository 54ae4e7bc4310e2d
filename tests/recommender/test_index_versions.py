"""What an operator notices: rebuilding, damage, a changed encoder."""

from __future__ import annotations

import dataclasses
import json

import pytest

from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect, Needs
from recommender.index import IndexBusy, MissingIndex, Query, StaleIndex, open_index, write_index
from recommender.versions import current_version, new_version, one_writer


def test_no_index_yet(tmp_path):
    with pytest.raises(MissingIndex, match="build it first"):
        open_index(tmp_path / "none", "hashing")


def test_an_index_of_another_encoder_is_refused_with_both_names(build, tmp_path):
    build()
    with pytest.raises(StaleIndex, match=r"'hashing'.*'other'"):
        open_index(tmp_path / "index", "other")


def test_only_changed_texts_are_encoded_again(build, tmp_path, encoder, papers):
    build()
    encoder.encoded.clear()
    changed = dataclasses.replace(papers[1], text="Now it rounds to three bits.")
    relabelled = dataclasses.replace(papers[2], kind="technique")
    added = Document(7, "A new one")
    manifest = write_index(tmp_path / "index", [papers[0], changed, relabelled, added], encoder)
    assert sorted(encoder.encoded) == sorted([changed.embedded_text(), "A new one"])
    assert (manifest.count, manifest.encoded) == (4, 2)
    index = open_index(tmp_path / "index", encoder.name)
    assert list(index.documents) == [1, 2, 3, 7]
    assert index.documents[3].kind == "technique"


def test_kept_vectors_stay_with_their_papers(build, tmp_path, encoder, papers):
    build()
    write_index(tmp_path / "index", [papers[4], papers[1]], encoder)
    index = open_index(tmp_path / "index", encoder.name)
    assert index.search(Query(papers[4].embedded_text()), encoder)[0].id == 5
    assert index.similar(5, 1)[0].id == 2


def test_another_encoder_encodes_everything(build, tmp_path, encoder, papers):
    build()
    other = type(encoder)("other", dimensions=32)
    assert write_index(tmp_path / "index", papers, other).encoded == len(papers)


def test_progress_reaches_the_number_of_new_texts(tmp_path, encoder, papers):
    seen = []
    write_index(tmp_path / "index", papers, encoder, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(papers), len(papers))


def test_a_reader_keeps_its_version_while_a_new_one_is_swapped_in(build, tmp_path, encoder, papers):
    reader = build()
    for _ in range(3):
        write_index(tmp_path / "index", papers[:1], encoder)
    assert reader.search(Query("speculative decoding"), encoder)[0].id == 5
    assert reader.documents[5].name == "DraftMate"
    assert list(open_index(tmp_path / "index", encoder.name).documents) == [1]


def test_old_versions_are_pruned(build, tmp_path, encoder, papers):
    build()
    for _ in range(4):
        write_index(tmp_path / "index", papers, encoder)
    kept = [path for path in (tmp_path / "index").iterdir() if path.is_dir()]
    assert len(kept) == 2
    assert current_version(tmp_path / "index") in kept


def test_a_failed_build_leaves_the_old_version(build, tmp_path, encoder, papers):
    build()
    encoder.encode = lambda texts: (_ for _ in ()).throw(RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        write_index(tmp_path / "index", [Document(9, "New")], encoder)
    assert len(open_index(tmp_path / "index", encoder.name).documents) == len(papers)


def test_a_failure_while_writing_leaves_no_folder_behind(tmp_path):
    def fill_half(version):
        (version / "half").write_text("x")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"), new_version(tmp_path) as version:
        fill_half(version)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_are_kept_apart(tmp_path, encoder, papers):
    with one_writer(tmp_path / "index"), pytest.raises(IndexBusy, match="another process"):
        write_index(tmp_path / "index", papers, encoder)
    write_index(tmp_path / "index", papers, encoder)


def test_two_documents_with_one_id_are_refused(tmp_path, encoder):
    with pytest.raises(ValueError, match="the id 3"):
        write_index(tmp_path / "index", [Document(3, "A"), Document(3, "B")], encoder)


@pytest.mark.parametrize(
    "name", ["documents.jsonl", "vectors.faiss", "vectors.npy", "ids.npy", "facets.npz", "offsets.npy"]
)
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_damage_is_reported_by_file(build, tmp_path, encoder, name, damage):
    build()
    path = current_version(tmp_path / "index") / name
    raw = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(raw[: len(raw) // 2])
    else:
        raw[len(raw) // 2] ^= 0xFF
        path.write_bytes(raw)
    with pytest.raises(MissingIndex, match=name):
        open_index(tmp_path / "index", encoder.name)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param("{", "manifest.json is missing or damaged", id="no-json"),
        pytest.param("[]", "manifest.json is missing or damaged", id="no-object"),
        pytest.param(None, "manifest.json is missing or damaged", id="missing"),
        pytest.param({"schema": 999}, "format 999", id="of-the-future"),
    ],
)
def test_an_unreadable_manifest_is_reported(build, tmp_path, encoder, manifest, reason):
    build()
    path = current_version(tmp_path / "index") / "manifest.json"
    if isinstance(manifest, dict):
        path.write_text(json.dumps({**json.loads(path.read_text()), **manifest}))
    elif manifest is None:
        path.unlink()
    else:
        path.write_text(manifest)
    with pytest.raises(MissingIndex, match=reason):
        open_index(tmp_path / "index", encoder.name)


def test_a_damaged_index_can_be_built_again(build, tmp_path, encoder, papers):
    build()
    (current_version(tmp_path / "index") / "vectors.npy").unlink()
    assert write_index(tmp_path / "index", papers, encoder).encoded == len(papers)
    assert len(open_index(tmp_path / "index", encoder.name).documents) == len(papers)


def test_a_pointer_to_nowhere_is_reported(build, tmp_path, encoder):
    build()
    (tmp_path / "index" / "CURRENT").write_text("v-gone")
    with pytest.raises(MissingIndex):
        open_index(tmp_path / "index", encoder.name)


def test_documents_survive_the_file_whole(build):
    whole = Document(
        8, "All fields – ünï", "text", "Name", ("quantization",), ("language",), ("inference",), ("H100",), None, "technique",
        (ClaimedGain("latency", "factor", "better", 2.0, 3.0, "up to", "eager", "H100", "inference", "quote"),),
        (MeasuredGain("latency", 2.0, 1.9, 2.1, "kernel", "H100", "confirmed", "eager", "odd"),),
        (ModelledEffect("weights", "memory", 2.0, 4.0, ("inference",), "calibration", ("transformer",)),),
        Needs(True, "8.0", 8.0), "name",
    )  # fmt: skip
    assert build([whole]).documents[8] == whole


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"id": "1", "title": "x"}, "needs 'id'", id="id-is-text"),
        pytest.param({"id": 1}, "'title'", id="no-title"),
        pytest.param({"id": 1, "title": "x", "colour": 1}, "colour", id="unknown-field"),
    ],
)
def test_a_row_that_is_no_document_names_the_field(row, message):
    with pytest.raises(ValueError, match=message):
        Document.from_json(row)
