"""Ids, DOIs, days and years as pages write them."""

from datetime import date

import pytest

from ingest.sources.identifiers import month_of, read_arxiv_id, read_day, read_doi, read_year, trusted_day


@pytest.mark.parametrize(
    ("text", "arxiv_id"),
    [
        ("2103.00001", "2103.00001"),
        ("2103.00001v12", "2103.00001"),
        ("0704.0001", "0704.0001"),
        ("arXiv:2103.00001v2", "2103.00001"),
        ("arXiv preprint arXiv:2103.00001", "2103.00001"),
        ("http://arxiv.org/abs/2103.00001v2", "2103.00001"),
        ("https://arxiv.org/pdf/2103.00001v2.pdf", "2103.00001"),
        ("https://huggingface.co/papers/2103.00001#community", "2103.00001"),
        ("https://doi.org/10.48550/arXiv.2103.00001", "2103.00001"),
        ("hep-th/9901001", "hep-th/9901001"),
        ("math.GT/0309136v1", "math/0309136"),
        ("cond-mat.mes-hall/0001234", "cond-mat/0001234"),
        ("2113.00001", None),
        ("2103.001", None),
        ("a number such as 2103.00001", None),
        ("https://huggingface.co/papers/date/2021-03-01", None),
        ("12103.00001", None),
        ("", None),
    ],
)
def test_arxiv_id(text, arxiv_id):
    assert read_arxiv_id(text) == arxiv_id


@pytest.mark.parametrize(
    ("arxiv_id", "month"),
    [("2103.00001", (2021, 3)), ("0704.0001", (2007, 4)), ("hep-th/9901001", (1999, 1)), ("math/0309136", (2003, 9))],
)
def test_the_id_tells_the_month(arxiv_id, month):
    assert month_of(arxiv_id) == month


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("10.1000/182", "10.1000/182"),
        ("https://doi.org/10.1000/ABC.Def", "10.1000/abc.def"),
        ("doi:10.1000/182.", "10.1000/182"),
        ("10.1000/1 10.1000/2", "10.1000/1"),
        ("(10.1016/S0014-5793(01)03313-0)", "10.1016/s0014-5793(01)03313-0"),
        ("10.48550/arXiv.2103.00001", None),
        ("11.1000/182", None),
        ("https://www.invented.org/10.1000/182", None),
        ("10.1000/" + "x" * 300, None),
        ("", None),
    ],
)
def test_doi(text, doi):
    assert read_doi(text) == doi


@pytest.mark.parametrize(
    ("stamp", "day"),
    [
        ("2021-03-01T17:59:59Z", date(2021, 3, 1)),
        ("2021-03-01", date(2021, 3, 1)),
        ("2021-02-30", None),
        ("soon", None),
        (5, None),
        (None, None),
    ],
)
def test_day(stamp, day):
    assert read_day(stamp) == day


@pytest.mark.parametrize(
    ("value", "year"),
    [
        (2021, 2021),
        ("May 2021", 2021),
        ("2021/2022", 2021),
        (0, None),
        (True, None),
        ("12021", None),
        ("n.d.", None),
        (None, None),
    ],
)
def test_year(value, year):
    assert read_year(value) == year


@pytest.mark.parametrize(
    ("day", "arxiv_id", "trusted"),
    [
        (date(2021, 3, 1), "2103.00001", True),
        (date(2021, 4, 1), "2103.00001", True),
        (date(2021, 5, 1), "2103.00001", False),
        (date(2026, 1, 1), "1601.00001", False),
        (date(2026, 1, 1), None, True),
    ],
)
def test_the_day_of_a_later_version_is_not_taken(day, arxiv_id, trusted):
    assert trusted_day(day, arxiv_id) == (day if trusted else None)
