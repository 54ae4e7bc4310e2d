"""Ids of papers, however a page writes them."""

import pytest

from papers.identifiers import bare_arxiv_id, bare_doi, bare_ids


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        pytest.param("2101.00001", "2101.00001", id="bare"),
        pytest.param("2101.00001v12", "2101.00001", id="version"),
        pytest.param("arXiv: 2101.00001v2", "2101.00001", id="prefix"),
        pytest.param("https://arxiv.org/abs/2101.00001v3", "2101.00001", id="address"),
        pytest.param("http://export.arxiv.org/pdf/0704.0001v1.pdf", "0704.0001", id="pdf"),
        pytest.param("math.GT/0309136", "math/0309136", id="old-with-class"),
        pytest.param("HEP-TH/9901001v2", "hep-th/9901001", id="old"),
    ],
)
def test_one_form_of_an_arxiv_id(written: str, bare: str) -> None:
    assert bare_arxiv_id(written) == bare


@pytest.mark.parametrize("written", ["", "2101", "2101.1", "10.1000/182", "hello", "2101.00001 and more"])
def test_what_is_no_arxiv_id_is_refused_by_name(written: str) -> None:
    with pytest.raises(ValueError, match=r"^arxiv_id: "):
        bare_arxiv_id(written)


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        pytest.param("10.1000/ABC.Def", "10.1000/abc.def", id="case"),
        pytest.param("https://doi.org/10.1000/182", "10.1000/182", id="address"),
        pytest.param("http://dx.doi.org/10.1000/182", "10.1000/182", id="old-address"),
        pytest.param("doi:10.1000/182", "10.1000/182", id="prefix"),
        pytest.param("https://doi.org/10.1000%2F182", "10.1000/182", id="quoted"),
    ],
)
def test_one_form_of_a_doi(written: str, bare: str) -> None:
    assert bare_doi(written) == bare


@pytest.mark.parametrize("written", ["10.1000", "11.1000/182", "10.1/182", "10.1000/a b", "10.1000/" + "x" * 200])
def test_what_is_no_doi_is_refused_by_name(written: str) -> None:
    with pytest.raises(ValueError, match=r"^doi: "):
        bare_doi(written)


def test_the_doi_that_arxiv_gives_is_its_id() -> None:
    assert bare_ids(None, "10.48550/arXiv.2101.00001") == ("2101.00001", None)
    assert bare_ids("2101.00001v2", "10.1000/X") == ("2101.00001", "10.1000/x")
