"""Papers that are known: finding one, what a new abstract means for its record, and taking it out of the lists."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from papers.identifiers import bare_ids
from papers.models import Paper, Technique
from papers.services.claims import follow_abstracts
from papers.services.common import Actor, write_audit
from papers.services.known import KnownPapers
from papers.services.sights import SeenPaper


def find_paper(title: str = "", arxiv_id: str | None = None, doi: str | None = None) -> Paper | None:
    """The paper that a sight with these would be merged into, or None. Raises: ValueError where an id is none."""
    arxiv_id, doi = bare_ids(arxiv_id, doi)
    return KnownPapers().look_up(SeenPaper(title=title, arxiv_id=arxiv_id, doi=doi)).paper


def abstract_was_replaced(paper: Paper) -> None:
    """Move the claims' spans with the text, and mark the record as made from another one, so that extraction follows."""
    abstracts_were_replaced([paper])


def abstracts_were_replaced(papers: Sequence[Paper]) -> None:
    if papers:
        follow_abstracts(papers)
        Technique.objects.filter(paper__in=papers).update(extractor_version="")


def withdraw_paper(paper: Paper, actor: Actor, reason: str) -> bool:
    """Take a paper out of the lists; its address keeps answering and says that it was withdrawn. False if it was."""
    with transaction.atomic():
        now = timezone.now()
        done = Paper.objects.filter(pk=paper.pk, withdrawn_at=None).update(withdrawn_at=now, updated_at=now)
        if done:
            write_audit(actor, "withdraw-paper", paper.slug, reason=reason)
    return bool(done)
