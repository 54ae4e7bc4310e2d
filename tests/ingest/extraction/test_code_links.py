"""Addresses in an abstract, whole and clean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.extraction import extract

FOUND = {
    "url-command": (r"Code: \url{https://zed.ai/wick}.", ["https://zed.ai/wick"]),
    "href-command": (r"Code is \href{https://zed.ai/wick}{here}.", ["https://zed.ai/wick"]),
    "escaped-underscore": (r"https://github.com/zed/a_b{https://github.com/zed/a\_b}.", ["https://github.com/zed/a_b"]),
    "doubled-without-brace": ("https://zed.ai/ahttps://zed.ai/a", ["https://zed.ai/a"]),
    "archived": ("https://web.archive.org/web/https://zed.ai/a", ["https://web.archive.org/web/https://zed.ai/a"]),
    "blank-in-scheme": ("Code: https: //github.com/zed/wick.", ["https://github.com/zed/wick"]),
    "blank-in-host": ("Code: https://github .com/zed/wick and github. com/zed/two", ["https://github.com/zed/wick", "https://github.com/zed/two"]),
    "hyphen-at-line-end": ("Code: https://github.com/ZED- Lab/Wick.", ["https://github.com/ZED-Lab/Wick"]),
    "hyphen-that-ends": ("Code: https://github.com/zed/wick- It is free.", ["https://github.com/zed/wick"]),
    "footnote": ("Code^1 (https://zed.ai/wick^2).", ["https://zed.ai/wick"]),
    "bare-hosts": ("github.com/zed/a, huggingface.co/zed/b, anonymous.4open.science/r/c-1, zed.github.io/d and zed.github.io.",
                   ["https://github.com/zed/a", "https://huggingface.co/zed/b", "https://anonymous.4open.science/r/c-1",
                    "https://zed.github.io/d", "https://zed.github.io"]),
    "same-without-www": ("https://www.zed.ai/a and http://zed.ai/a/", ["https://www.zed.ai/a"]),
    "git-suffix": ("https://github.com/zed/wick.git and https://github.com/zed/wick", ["https://github.com/zed/wick.git"]),
    "brackets-of-its-own": ("(https://zed.ai/a_(b))", ["https://zed.ai/a_(b)"]),
    "quotes": ("“https://zed.ai/a”", ["https://zed.ai/a"]),
    "university": ("See geo.zed.ac.uk/projects/2020/sums/ and www.cs.zed.edu/~ann.", ["https://geo.zed.ac.uk/projects/2020/sums/",
                   "https://www.cs.zed.edu/~ann"]),
    "university-alone": ("We thank zed.edu for chips.", []),
    "mail": ("Write to zed@github.com/x or see and/or.", []),
    "no-host": ("https://a", []),
}  # fmt: skip


@pytest.mark.parametrize(("abstract", "urls"), FOUND.values(), ids=FOUND.keys())
def test_addresses(abstract: str, urls: list[str]) -> None:
    assert list(extract("Zedwick", abstract).code_urls) == urls


PIECES = st.sampled_from(
    [
        "https://",
        "http: //",
        "github.com/",
        " ",
        "zed",
        "\\_",
        "{",
        "}",
        "-",
        ".",
        "www.",
        "github .com/",
        "İ",
        "^",
        ")",
        "(",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)))
def test_any_text_gives_clean_addresses_each_once(abstract: str) -> None:
    urls = extract("Zedwick", abstract).code_urls
    assert len(set(urls)) == len(urls)
    for url in urls:
        assert url.lower().startswith("http")
        assert not any(c.isspace() or c in "{}<>" for c in url)
        assert url[-1] not in ".,;:!?'*_-"
