"""The five pages that lie beside the checkout: how many entries each has, and which are one paper."""

import importlib.util
import re
from datetime import date

import pytest

from ingest.sources import parse_page
from papers.folding import fold_title

COUNTS = {
    "000_cd2efc9375918472.txt": 328,
    "001_d75ba4a41bdbd94e.txt": 42,
    "002_cd494c69f8abf195.txt": 100,
    "003_8e68de6920d1b59a.txt": 73,
    "004_53b33a7da185321e.txt": 101,
}


@pytest.fixture(scope="module")
def pages(shared_dir):
    return {name: parse_page((shared_dir / "seeds" / name).read_bytes()) for name in COUNTS}


@pytest.fixture(scope="module")
def titles(pages):
    return [paper.title for page in pages.values() for paper in page.papers]


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_number_of_entries(pages, name, count):
    assert len(pages[name].papers) == count
    assert pages[name].problems == ()


def test_distinct_papers(titles):
    assert len({fold_title(title) for title in titles}) == 611


def test_latex_remains_make_no_twins(titles):
    spellings = {title for title in titles if title.startswith("HyperZ")}
    assert len(spellings) == 2
    assert len({fold_title(title) for title in spellings}) == 1


def test_two_papers_of_one_method_stay_two(titles):
    assert len({fold_title(title) for title in titles if title.startswith("WaveMix:")}) == 2


def test_folding_pairs_the_titles_that_the_scorer_pairs(shared_dir, titles):
    spec = importlib.util.spec_from_file_location("gold_score", shared_dir / "gold" / "score.py")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    pairs = {(score.fold(title), fold_title(title)) for title in titles}
    assert len(pairs) == len({theirs for theirs, _ in pairs}) == len({ours for _, ours in pairs}) == 611


@pytest.mark.parametrize("name", COUNTS)
def test_every_long_line_is_the_abstract_of_one_paper(shared_dir, pages, name):
    text = (shared_dir / "seeds" / name).read_text(encoding="utf-8")
    long_lines = [" ".join(line.split()) for line in text.split("\n") if len(line) > 300]
    assert [paper.abstract for paper in pages[name].papers] == long_lines


def test_details_of_the_page_that_prints_them(pages):
    papers = pages["001_d75ba4a41bdbd94e.txt"].papers
    assert sum(paper.author_count is not None for paper in papers) == 40
    assert (papers[0].author_count, papers[0].published_on, papers[0].votes) == (5, date(2023, 12, 11), 2)
    assert (papers[-1].author_count, papers[-1].published_on, papers[-1].votes) == (9, None, None)
    assert {page.page_date for page in pages.values()} == {None, "Dec 16", "Aug 7", "Mar 13", "Mar 11"}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.999])
def test_cut_page_gives_the_entries_before_the_cut(shared_dir, pages, name, share):
    raw = (shared_dir / "seeds" / name).read_bytes()
    page = parse_page(raw[: int(len(raw) * share)])
    whole = pages[name].papers
    assert 0 < len(page.papers) <= len(whole)
    same = [(paper.title, paper.abstract) for paper in page.papers]
    assert same == [(paper.title, paper.abstract) for paper in whole[: len(same)]]
    assert page.problems or re.search(r"\d|\.$", page.papers[-1].abstract)
