"""Addresses of code: one spelling each, what kind of place they are, and which are the authors' own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources import CodeLink
from ingest.sources.code_urls import code_link, group_links, links_in


@pytest.mark.parametrize(
    ("address", "url", "kind", "original"),
    [
        ("https://github.com/a/b", "https://github.com/a/b", "github", ""),
        ("http://www.github.com/a/b/", "https://github.com/a/b", "github", ""),
        ("github.com/a/b.git", "https://github.com/a/b", "github", ""),
        ("https://github.com/A/B", "https://github.com/a/b", "github", "https://github.com/A/B"),
        ("https://github.com/a/b?tab=readme#use", "https://github.com/a/b", "github", ""),
        (
            "https://github.com/a/b/tree/main/c",
            "https://github.com/a/b",
            "github",
            "https://github.com/a/b/tree/main/c",
        ),
        (
            "https://github.com/a/b/blob/1f/c.py#L2",
            "https://github.com/a/b",
            "github",
            "https://github.com/a/b/blob/1f/c.py#L2",
        ),
        (
            "https://raw.githubusercontent.com/a/b/main/c.py",
            "https://github.com/a/b",
            "github",
            "https://raw.githubusercontent.com/a/b/main/c.py",
        ),
        ("https://github.com/people", "https://github.com/people", "page", ""),
        (
            "https://gitlab.com/a/group/b/-/tree/x",
            "https://gitlab.com/a/group/b",
            "gitlab",
            "https://gitlab.com/a/group/b/-/tree/x",
        ),
        ("https://gitlab.invented.org/a/b.git", "https://gitlab.invented.org/a/b", "gitlab", ""),
        (
            "https://bitbucket.org/a/b/src/master",
            "https://bitbucket.org/a/b",
            "bitbucket",
            "https://bitbucket.org/a/b/src/master",
        ),
        ("hf.co/a/B-7b", "https://huggingface.co/a/B-7b", "huggingface", ""),
        ("https://huggingface.co/datasets/a/b", "https://huggingface.co/datasets/a/b", "huggingface", ""),
        (
            "https://huggingface.co/spaces/a/b/tree/main",
            "https://huggingface.co/spaces/a/b",
            "huggingface",
            "https://huggingface.co/spaces/a/b/tree/main",
        ),
        ("https://www.kaggle.com/code/a/b", "https://kaggle.com/code/a/b", "kaggle", ""),
        (
            "https://colab.research.google.com/drive/1aBc?usp=sharing",
            "https://colab.research.google.com/drive/1aBc",
            "colab",
            "",
        ),
        ("http://a.github.io/b/?utm_source=x&id=3", "https://a.github.io/b?id=3", "page", ""),
        ("https://b.invented.org/#/demo", "https://b.invented.org#/demo", "page", ""),
        ("(https://github.com/a/b).", None, None, None),
        ("https://github.com/features/actions", None, None, None),
        ("https://github.com/a/..", "https://github.com/a", "page", ""),
        ("https://github.com/a/b c", "https://github.com/a/b", "github", ""),
        ("https://arxiv.org/abs/2103.00001", None, None, None),
        ("https://doi.org/10.1000/1", None, None, None),
        ("https://huggingface.co/papers/2103.00001", None, None, None),
        ("https://someone:secret@github.com/a/b", None, None, None),
        ("http://127.0.0.1/a", None, None, None),
        ("http://localhost/a", None, None, None),
        ("https://[::1/a", None, None, None),
        ("https://a.invented.org:8080/x", None, None, None),
        ("ftp://a.invented.org/x", None, None, None),
        ("javascript:alert(1)", None, None, None),
        ("not an address", None, None, None),
        ("https://github.com/" + "a" * 600, None, None, None),
        ("https://a.invented.org/?q=" + "é" * 200, None, None, None),
        ("", None, None, None),
    ],
)
def test_one_spelling_of_an_address(address, url, kind, original):
    link = code_link(address)
    assert (link and (link.url, link.kind, link.original)) == (url and (url, kind, original))


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60)
    | st.from_regex(r"(https?://)?(www\.)?(github|gitlab|huggingface|foo)\.(com|co)/[\w./?#%&=-]{0,40}", fullmatch=True)
)
def test_a_canonical_address_stays_as_it_is(address):
    link = code_link(address)
    if link is not None:
        again = code_link(link.url)
        assert again is not None
        assert (again.url, again.kind, again.original) == (link.url, link.kind, "")
        assert link.url.startswith("https://")
        assert len(link.url) <= 500


@pytest.mark.parametrize(
    ("text", "official"),
    [
        ("We are fast. Code is available at https://github.com/a/b.", {"https://github.com/a/b": True}),
        ("We build on https://github.com/a/b and are faster.", {"https://github.com/a/b": None}),
        (
            "See https://github.com/a/b. It is based on https://github.com/c/d.",
            {"https://github.com/a/b": True, "https://github.com/c/d": None},
        ),
        ("Our project page: https://a.github.io/b/", {"https://a.github.io/b": True}),
        ("We read https://arxiv.org/abs/2103.00001 twice.", {}),
    ],
)
def test_links_of_an_abstract(text, official):
    assert {link.url: link.official for link in links_in(text, "abstract")} == official


@pytest.mark.parametrize(
    ("comment", "urls"),
    [
        ("12 pages; code at https://a.invented.org/b", ["https://a.invented.org/b"]),
        ("Talk: https://conference.invented.org/1", []),
        ("https://github.com/a/b", ["https://github.com/a/b"]),
    ],
)
def test_a_page_in_a_comment_counts_only_where_code_is_spoken_of(comment, urls):
    assert [link.url for link in links_in(comment, "comment")] == urls


def test_links_of_many_sources_are_grouped_by_address():
    page = CodeLink("https://a.github.io/b", "page", said_in="projectPage")
    plain = CodeLink("https://github.com/a/b", "github", False, "pytorch", "pwc-links", "https://github.com/A/b")
    own = CodeLink("https://github.com/a/b", "github", True, "", "abstract")
    other = CodeLink("https://github.com/c/d", "github", False, "jax", "pwc-links")
    grouped = group_links([page, other], [plain], [own, own])
    assert [link.url for link in grouped] == [plain.url, other.url, page.url]
    assert grouped[0] == CodeLink(plain.url, "github", True, "pytorch", "pwc-links, abstract", plain.original)


@pytest.mark.parametrize(
    "text", ["https://a.bc/" + ")" * 200_000, "https://github.com/a/b " * 20_000], ids=["brackets", "twins"]
)
def test_hostile_abstracts_are_read_in_one_pass(text):
    assert len(links_in(text, "abstract")) <= 1
