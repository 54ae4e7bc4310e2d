"""The Atom feed of arXiv and the JSON of Daily Papers: random lists, cuts anywhere, and hostile input."""

import json
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources import ParseError, arxiv_atom, arxiv_oai, hf_daily_json, parse_page, xml_feed

TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60).map(
    lambda text: " ".join(text.split())
)
PAPERS = st.lists(st.tuples(TEXT, TEXT).filter(all), max_size=5)


def render_atom(papers):
    entries = "\n".join(
        f"<entry><id>http://arxiv.org/abs/9901.{number:05}v1</id><title>{escape(title)}</title>\n"
        f"<summary>{escape(abstract)}</summary><author><name>Ada Invented</name></author></entry>"
        for number, (title, abstract) in enumerate(papers)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n{entries}\n</feed>\n'


def render_json(papers):
    return json.dumps(
        [
            {
                "paper": {
                    "id": f"9901.{number:05}",
                    "title": title,
                    "summary": abstract,
                    "authors": [{"name": "Ada Invented"}],
                }
            }
            for number, (title, abstract) in enumerate(papers)
        ],
        indent=1,
    )


@pytest.mark.parametrize("render", [render_atom, render_json])
@settings(max_examples=60, deadline=None)
@given(papers=PAPERS)
def test_round_trip(render, papers):
    page = parse_page(render(papers).encode())
    assert [(paper.title, paper.abstract) for paper in page.papers] == papers
    assert [paper.arxiv_id for paper in page.papers] == [f"9901.{number:05}" for number in range(len(papers))]
    assert page.problems == ()


@pytest.mark.parametrize(("render", "source"), [(render_atom, arxiv_atom), (render_json, hf_daily_json)])
@settings(max_examples=60, deadline=None)
@given(papers=PAPERS, data=st.data())
def test_cut_anywhere_gives_the_whole_entries_before_the_cut(render, source, papers, data):
    raw = render(papers).encode().rstrip()
    start = raw.index(b"<feed xmlns") + 42 if source is arxiv_atom else 1
    cut = raw[: data.draw(st.integers(start, len(raw) - 1))]
    page = source.parse(cut)
    assert [(paper.title, paper.abstract) for paper in page.papers] == papers[: len(page.papers)]
    assert page.problems
    if source is arxiv_atom:
        assert len(page.papers) == cut.count(b"</entry>")


@pytest.mark.parametrize("render", [render_atom, render_json])
def test_lines_point_at_the_entries(render):
    text = render([("A Title", "An abstract."), ("Another", "Another abstract.")])
    lines = text.split("\n")
    for paper in parse_page(text.encode()).papers:
        assert any(sign in lines[paper.line - 1] for sign in ("<entry>", "{"))


@settings(max_examples=60, deadline=None)
@given(
    tail=st.text(max_size=80),
    head=st.sampled_from(["[", "[{", '{"paper":', "<feed", '<feed xmlns="http://www.w3.org/2005/Atom">']),
)
def test_any_text_gives_a_page_or_a_parse_error(head, tail):
    raw = (head + tail).encode("utf-8", "ignore")
    for source in (arxiv_atom, hf_daily_json):
        try:
            papers = source.parse(raw).papers
        except ParseError:
            papers = ()
        assert all(paper.title and paper.abstract for paper in papers)


@pytest.mark.parametrize(
    ("source", "raw", "reason"),
    [
        pytest.param(
            arxiv_atom, b'<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed/>', "document type", id="external-dtd"
        ),
        pytest.param(arxiv_atom, b"<!doctype html><feed/>", "document type", id="html"),
        pytest.param(
            arxiv_atom, b'<feed xmlns="http://www.w3.org/2005/Atom">&nbsp;</feed>', "well-formed", id="entity"
        ),
        pytest.param(arxiv_atom, b"<feed><entry/></feed>", "expected an Atom feed", id="not-atom"),
        pytest.param(hf_daily_json, b"[" * 100_000, "nested too deeply", id="deep"),
        pytest.param(hf_daily_json, b"[" + b"9" * 10_000 + b"]", "not JSON", id="endless-number"),
        pytest.param(hf_daily_json, b"[1, 2]", "found int", id="numbers"),
        pytest.param(hf_daily_json, b'{"title": "a", "summary": "b"} more', "behind its end", id="text-behind"),
        pytest.param(hf_daily_json, b'[{"title": "a", "summary": "b"} 7]', "behind an item", id="no-comma"),
    ],
)
def test_refusal(source, raw, reason):
    with pytest.raises(ParseError, match=reason):
        source.parse(raw)


@pytest.mark.parametrize(
    ("source", "bounded"),
    [(arxiv_atom, xml_feed), (arxiv_oai, xml_feed), (hf_daily_json, hf_daily_json)],
    ids=["atom", "oai", "json"],
)
def test_size_is_bounded_before_anything_is_read(source, bounded, monkeypatch):
    monkeypatch.setattr(bounded, "MAX_BYTES", 10)
    with pytest.raises(ParseError, match="more than 10"):
        source.parse(b"x" * 11)
