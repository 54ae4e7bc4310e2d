"""Pages written for these tests, in every layout, whole, cut, odd and wrong, against what they must give."""

import json
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import pytest

from ingest.sources import ParseError, parse_page

PAGES = Path(__file__).resolve().parents[2] / "fixtures" / "pages"
PAGE_FILES = sorted(path for path in PAGES.iterdir() if not path.name.endswith(".golden.json"))


def _golden(path: Path) -> Path:
    return path.with_name(path.name + ".golden.json")


def _as_golden(value):
    """What a golden file holds of a page: all that is not at its default, so that a new field changes no old file."""
    if is_dataclass(value):
        told = {field.name: getattr(value, field.name) for field in fields(value) if _differs(value, field)}
        return {name: _as_golden(part) for name, part in told.items()}
    if isinstance(value, tuple):
        return [_as_golden(part) for part in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def _differs(value, field):
    return field.default is MISSING or getattr(value, field.name) != field.default


def test_every_page_has_a_golden_file_and_every_golden_file_a_page():
    assert {_golden(path).name for path in PAGE_FILES} == {path.name for path in PAGES.glob("*.golden.json")}


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_page_gives_its_golden_file(path):
    want = json.loads(_golden(path).read_text(encoding="utf-8"))
    if "error" in want:
        with pytest.raises(ParseError) as caught:
            parse_page(path.read_bytes())
        assert {"error": caught.value.reason, "line": caught.value.line} == want
    else:
        assert _as_golden(parse_page(path.read_bytes())) == want


def _papers(name):
    return [(paper.title, paper.abstract) for paper in parse_page((PAGES / name).read_bytes()).papers]


@pytest.mark.parametrize("name", ["blocks.txt", "details.txt", "wrapped.txt"])
def test_every_layout_of_one_list_gives_the_same_papers(name):
    assert _papers(name) == _papers("lines.txt")


@pytest.mark.parametrize(
    ("name", "whole", "cut"),
    [
        ("lines_cut_in_abstract.txt", "lines.txt", "Paying for Tokens Twice"),
        ("lines_cut_behind_title.txt", "lines.txt", "Paying for Tokens Twice"),
        ("blocks_cut_in_title.txt", "blocks.txt", "Paying for Tokens Tw"),
        ("details_cut_in_abstract.txt", "details.txt", "Folding Convolutions"),
    ],
    ids=lambda value: value.removesuffix(".txt"),
)
def test_cut_page_is_read_up_to_the_cut_and_names_what_it_left_out(name, whole, cut):
    page = parse_page((PAGES / name).read_bytes())
    assert [(paper.title, paper.abstract) for paper in page.papers] == _papers(whole)[: len(page.papers)]
    assert len(page.papers) in (4, 5)
    [problem] = page.problems
    assert cut in problem.reason
    assert problem.line == 1 + (PAGES / name).read_text(encoding="utf-8").split(cut)[0].count("\n")


def test_page_cut_in_the_details_keeps_the_paper_and_drops_the_half_number():
    page = parse_page((PAGES / "details_cut_in_details.txt").read_bytes())
    assert page.papers[-1].author_count is None
    assert "details" in page.problems[-1].reason


def test_odd_entries_do_not_shift_those_behind_them():
    titles = [title for title, _ in _papers("lines.txt")]
    odd = dict(_papers("odd_entries.txt"))
    assert [title for title in titles if title in odd] == titles[:4]
    assert odd[titles[2]] == dict(_papers("lines.txt"))[titles[2]], "an abstract of two paragraphs is one"
    assert odd[titles[3]].endswith("Code and weights are at https://example.org/deltanet-mini")
