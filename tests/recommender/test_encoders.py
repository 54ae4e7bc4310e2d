"""Opening encoders: the packaged one for real, the others for their refusals."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from papers.encoding.encoders import PACKAGED, EncoderError, check_weights, open_encoder


@pytest.fixture(scope="module")
def packaged():
    return open_encoder()


def test_packaged_encoder_gives_unit_vectors_that_know_meaning(packaged):
    vectors = packaged.encode(["a cat sat down", "a kitten was sitting", "the stock market fell"])
    assert packaged.name == PACKAGED
    assert vectors.shape == (3, packaged.dimensions) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_no_texts_give_no_vectors(packaged):
    assert packaged.encode([]).shape == (0, 384)


def test_a_model_that_is_not_there_fails_at_once_with_the_way_out():
    with pytest.raises(EncoderError, match=r"'nobody/no-such-model'.*HF_HUB_OFFLINE=0"):
        open_encoder("nobody/no-such-model")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="cannot load the encoder"):
        open_encoder(str(tmp_path))


def test_weights_of_another_hash_are_refused(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"not the published ones")
    check_weights(weights, hashlib.sha256(weights.read_bytes()).hexdigest())
    with pytest.raises(EncoderError, match=r"model\.safetensors has sha256 .*refused"):
        check_weights(weights, "0" * 64)


def test_importing_the_recommender_loads_no_torch_and_no_django(project_root):
    code = (
        "import sys, recommender.advice, papers.encoding.encoders, recommender.metrics;"
        "print(sorted({'torch', 'sentence_transformers', 'django', 'celery'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project_root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
