"""BibTeX, saved pages of Hugging Face, and OAI-PMH: random lists, cuts anywhere, and what each format says in its own way."""

import json
from datetime import date
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources import ParseError, arxiv_oai, bibtex, hf_papers_html, parse_page

TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60).map(
    lambda text: " ".join(text.split())
)
PAPERS = st.lists(st.tuples(TEXT, TEXT).filter(all), min_size=1, max_size=5)
# What BibTeX gives a meaning of its own is in the tables below.
PLAIN = st.text(st.characters(categories=("L", "N"), include_characters=" .,:;()+=@/"), min_size=1, max_size=60).map(
    lambda text: " ".join(text.split())
)
PLAIN_PAPERS = st.lists(st.tuples(PLAIN, PLAIN).filter(all), min_size=1, max_size=5)
OAI = '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'


def render_bibtex(papers):
    return "\n".join(
        f"@article{{key{n},\n  title = {{{title}}},\n  abstract = {{{abstract}}},\n  eprint = {{2103.{n:05}}}\n}}"
        for n, (title, abstract) in enumerate(papers)
    )


def render_quoted(papers):
    return "\n".join(f'@misc(key, title = "{title}", abstract = "{abstract}")' for title, abstract in papers)


def props(papers):
    listed = [
        {"paper": {"id": f"2103.{n:05}", "title": title, "summary": abstract}}
        for n, (title, abstract) in enumerate(papers)
    ]
    return json.dumps({"dailyPapers": listed, "dateString": "2021-03-09"})


def render_html(papers):
    element = (
        f'<div class="SVELTE_HYDRATER contents" data-target="DailyPapers" data-props="{escape(props(papers))}"></div>'
    )
    return f"<!DOCTYPE html>\n<html><body><main>{element}</main></body></html>\n"


def render_oai(papers):
    records = "\n".join(
        f"<record><header><identifier>oai:arXiv.org:2103.{n:05}</identifier></header><metadata>"
        f'<arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>2103.{n:05}</id><title>{escape(title)}</title>'
        f"<abstract>{escape(abstract)}</abstract></arXiv></metadata></record>"
        for n, (title, abstract) in enumerate(papers)
    )
    return f"{OAI}<ListRecords>\n{records}\n<resumptionToken>next</resumptionToken></ListRecords></OAI-PMH>"


@pytest.mark.parametrize(
    ("render", "source"), [(render_html, hf_papers_html), (render_oai, arxiv_oai)], ids=["html", "oai"]
)
@settings(max_examples=50, deadline=None)
@given(papers=PAPERS)
def test_round_trip(render, source, papers):
    page = parse_page(render(papers).encode())
    assert page.source == source.NAME
    assert [(paper.title, paper.abstract) for paper in page.papers] == papers
    assert [paper.arxiv_id for paper in page.papers] == [f"2103.{n:05}" for n in range(len(papers))]
    assert page.problems == ()


@pytest.mark.parametrize("render", [render_bibtex, render_quoted])
@settings(max_examples=50, deadline=None)
@given(papers=PLAIN_PAPERS)
def test_round_trip_of_bibtex(render, papers):
    page = parse_page(render(papers).encode())
    assert [(paper.title, paper.abstract) for paper in page.papers] == papers
    assert page.problems == ()


def outcome(source, raw):
    """Titles and abstracts, and whatever is said to be wrong."""
    try:
        page = source.parse(raw)
    except ParseError as refused:
        return [], [refused.reason]
    return [(paper.title, paper.abstract) for paper in page.papers], list(page.problems)


@pytest.mark.parametrize(
    ("render", "source", "begin"),
    [(render_html, hf_papers_html, 140), (render_oai, arxiv_oai, 60), (render_bibtex, bibtex, 14)],
    ids=["html", "oai", "bibtex"],
)
@settings(max_examples=50, deadline=None)
@given(papers=PLAIN_PAPERS, data=st.data())
def test_cut_anywhere_gives_whole_papers_or_a_reason(render, source, begin, papers, data):
    raw = render(papers).encode().rstrip()
    cut = raw[: data.draw(st.integers(begin, len(raw) - 1))]
    read, faults = outcome(source, cut)
    assert read == papers[: len(read)]
    # Behind an entry of BibTeX nobody can tell that more was to come.
    assert faults or (source is bibtex and cut.rstrip().endswith(b"}"))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        pytest.param(r"{Sch{\"o}ne {\'E}tudes}", "Schöne Études", id="accents"),
        pytest.param(r"{{{Kept} {T}ogether}}", "Kept Together", id="braces"),
        pytest.param(r"{40\% less \& 10\# more}", "40% less & 10# more", id="escapes"),
        pytest.param("{40% less, and more}", "40% less, and more", id="bare-percent"),
        pytest.param(r"{At $2.5\times$ and $O(n^2)$}", r"At $2.5\times$ and $O(n^2)$", id="formulas-stay"),
        pytest.param(r"{under \textless2MB and \textgreater{} 3}", "under <2MB and > 3", id="signs"),
        pytest.param(r"{said~before~\citep[p.~3]{who} and \emph{again}}", "said before and again", id="commands"),
        pytest.param(r"{at \url{https://a.invented.org/b_c}}", "at https://a.invented.org/b_c", id="url"),
        pytest.param('"A {"}quoted{"} word"', 'A "quoted" word', id="quotes"),
        pytest.param("name", "Resolved", id="string"),
        pytest.param('NAME # ", and " # {more} # 7', "Resolved, and more7", id="sum"),
        pytest.param("unknown", "unknown", id="unknown-string"),
        pytest.param(r"{10\~20 times}", r"10$\sim$20 times", id="about"),
        pytest.param("{" + r"\x{" * 2000 + "}" * 2001, r"\x{" * 2000 + "}" * 2000, id="what-cannot-be-decoded-stays"),
        pytest.param("{two\n   lines}", "two lines", id="lines"),
    ],
)
def test_fields_of_bibtex(field, text):
    page = parse_page(f"@string{{name = {{Resolved}}}}\n@misc{{key, title = {{T}}, abstract = {field}}}".encode())
    assert page.papers[0].abstract == text


@pytest.mark.parametrize(
    ("names", "authors", "count"),
    [
        ("Li, Bo and C. D. Made-Up", ("Bo Li", "C. D. Made-Up"), 2),
        ("van der Berg, Jan and others", ("Jan van der Berg",), None),
        ("{The Tide Collective} and Invented, Jr, Ada", ("The Tide Collective", "Ada Invented Jr"), 2),
        (r"Sch{\"a}fer, A.", ("A. Schäfer",), 1),
        (" and ", (), None),
    ],
)
def test_authors_of_bibtex(names, authors, count):
    paper = parse_page(f"@misc{{key, title = {{T}}, author = {{{names}}}}}".encode()).papers[0]
    assert (paper.authors, paper.author_count) == (authors, count)


@pytest.mark.parametrize(
    ("fields", "arxiv_id", "doi", "published_on", "year"),
    [
        ("eprint={2103.00001v2}, archivePrefix={arXiv}, year={2021}", "2103.00001", None, None, 2021),
        ("eprint={2103.00001}, eprinttype={pubmed}", None, None, None, None),
        ("journal={arXiv preprint arXiv:2103.00001}", "2103.00001", None, None, 2021),
        ("doi={10.48550/arXiv.2103.00001}", "2103.00001", None, None, 2021),
        ("url={https://doi.org/10.1000/ABC}", None, "10.1000/abc", None, None),
        ("date={2021-03-09}", None, None, date(2021, 3, 9), None),
        ("date={2021-03}", None, None, None, 2021),
        ("month=mar, year={to appear}", None, None, None, None),
        ("number={2103.00001}", "2103.00001", None, None, 2021),
        ("number={7}, pages={2103.00001}", None, None, None, None),
    ],
)
def test_ids_and_dates_of_bibtex(fields, arxiv_id, doi, published_on, year):
    paper = parse_page(f"@misc{{key, title = {{T}}, {fields}}}".encode()).papers[0]
    assert (paper.arxiv_id, paper.doi, paper.published_on, paper.year) == (arxiv_id, doi, published_on, year)


def test_an_entry_without_an_abstract_is_kept_and_one_without_a_title_is_not():
    page = parse_page(b"@misc{a, title={Listed by Its Title}}\n@misc{b, abstract={We have no title.}}")
    assert [(paper.title, paper.abstract) for paper in page.papers] == [("Listed by Its Title", "")]
    assert [(problem.line, problem.reason) for problem in page.problems] == [(2, "the entry b has no title")]


def test_the_token_of_a_harvest():
    page = arxiv_oai.read(
        f'{OAI}<responseDate>2021-04-02T00:15:00Z</responseDate><ListRecords><record><header status="deleted">'
        "<identifier>oai:arXiv.org:math/0309136</identifier></header></record>"
        '<resumptionToken cursor="100" completeListSize="1203"> 77|1001 </resumptionToken></ListRecords></OAI-PMH>'.encode()
    )
    assert (page.resumption_token, page.list_size, page.list_cursor) == ("77|1001", 1203, 100)
    assert (page.answered_on, page.deleted, page.page.papers) == (date(2021, 4, 2), ("math/0309136",), ())


@pytest.mark.parametrize(
    "end", ["<resumptionToken/>", '<resumptionToken cursor="x" completeListSize="-1"></resumptionToken>', ""]
)
def test_a_harvest_ends_without_a_token(end):
    page = arxiv_oai.read(f"{OAI}<ListRecords>{end}</ListRecords></OAI-PMH>".encode())
    assert (page.resumption_token, page.list_size, page.list_cursor) == (None, None, None)


def test_an_answer_that_was_cut_gives_no_token():
    page = arxiv_oai.read(render_oai([("A", "B")]).encode()[:-60])
    assert page.resumption_token is None
    assert page.page.problems


@pytest.mark.parametrize("code", ["badResumptionToken", "badArgument", "cannotDisseminateFormat"])
def test_an_error_of_the_archive_has_its_code(code):
    with pytest.raises(arxiv_oai.OaiError, match=code) as caught:
        arxiv_oai.read(f'{OAI}<error code="{code}">why</error></OAI-PMH>'.encode())
    assert caught.value.code == code


def test_no_records_is_an_empty_answer():
    assert arxiv_oai.read(f'{OAI}<error code="noRecordsMatch"/></OAI-PMH>'.encode()).page.papers == ()


def test_a_saved_page_without_its_json_refuses_summaries():
    card = "<article><h3><a href='/papers/2103.00001'>A Title</a></h3><p>Short words of a model.</p></article>"
    page = hf_papers_html.parse(f"<!doctype html><html>{card}</html>".encode())
    assert page.papers == ()
    assert "a summary and no abstract" in page.problems[0].reason


def test_a_search_page_gives_what_was_found_and_what_is_listed():
    found = {"paper": {"id": "2103.00001", "title": "Found", "summary": "We are found."}}
    listed = {"paper": {"id": "2103.00002", "title": "Listed", "summary": "We are listed."}}
    value = escape(json.dumps({"dailyPapers": [listed], "searchResults": [found, listed]}))
    page = hf_papers_html.parse(
        f'<!doctype html><html><div data-target="DailyPapers" data-props="{value}"></div></html>'.encode()
    )
    assert [paper.title for paper in page.papers] == ["Listed", "Found"]


def test_html_loads_nothing_and_expands_nothing(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hidden words")
    page = (
        f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]><html><h1>A Title &x;</h1><h2>Abstract</h2>'
        f'<p>We show &x;.</p><link rel="canonical" href="https://huggingface.co/papers/2103.00001"></html>'
    )
    told = str(hf_papers_html.parse(page.encode()))
    assert "A Title" in told
    assert "hidden" not in told
