"""How a paper is cited in plain text, on its page and as a file."""

from typing import Any

import pytest
from django.test import Client

from papers.citations import as_text
from papers.models import Paper
from tests.factories import make_paper

HERE = "https://here.example/papers/folded/"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param(
            {"authors": ["Ada Lovelace", "Alan Turing", "Grace Hopper"], "year": 2024, "arxiv_id": "2401.00001"},
            "Ada Lovelace, Alan Turing and Grace Hopper (2024). Folded Pages. arXiv:2401.00001. https://arxiv.org/abs/2401.00001",
            id="all-known",
        ),
        pytest.param(
            {"authors": ["Ada Lovelace"], "author_count": 7, "doi": "10.1/x"},
            "Ada Lovelace, et al. Folded Pages. https://doi.org/10.1/x",
            id="not-all-names",
        ),
        pytest.param({"authors": ["Ada Lovelace", "Alan Turing"]}, f"Ada Lovelace and Alan Turing. Folded Pages. {HERE}", id="two"),
        pytest.param({"year": 2024, "title": "Folded or not?"}, f"(2024). Folded or not? {HERE}", id="no-author"),
        pytest.param({"title": r"Attention in $O(n)$"}, f"Attention in O(n). {HERE}", id="formula"),
        pytest.param({"authors": [f"N{n}" for n in range(12)]}, f"{', '.join(f'N{n}' for n in range(10))}, et al. Folded Pages. {HERE}", id="many"),
    ],
)  # fmt: skip
def test_plain_text_holds_what_is_known_and_nothing_else(fields: dict[str, Any], text: str) -> None:
    assert as_text(Paper(**{"title": "Folded Pages", **fields}), HERE) == text


@pytest.mark.django_db
def test_the_page_and_the_file_say_the_same(client: Client) -> None:
    paper = make_paper(title="Folded <Pages> & more", year=2024)
    file = client.get(f"/papers/{paper.slug}/citation.txt")
    assert file["Content-Type"] == "text/plain; charset=utf-8"
    page = client.get(paper.get_absolute_url())
    assert page.context["cite"]["text"] == file.content.decode()
    text = page.content.decode()
    assert "Folded &lt;Pages&gt; &amp; more" in text
    assert 'data-copy="cite-text" hidden' in text, "without script there is nothing to press"
    assert "@misc{" in text
