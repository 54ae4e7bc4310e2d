"""Ids of papers in the one form that the database holds. No Django here."""

import re
from urllib.parse import unquote

_ARXIV_ADDRESS = re.compile(r"^(?:https?://)?(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html)/|^arxiv:\s*", re.IGNORECASE)
_ARXIV_ID = re.compile(
    r"(?:(?P<new>\d{4}\.\d{4,5})|(?P<archive>[a-z][a-z-]+)(?:\.[a-z]{2})?/(?P<number>\d{7}))(?:v\d+)?(?:\.pdf)?",
    re.IGNORECASE | re.ASCII,
)
# What every dialect of regular expressions reads: the id alone, for those who describe a parameter by it.
ARXIV_ID_PATTERN = r"^([0-9]{4}\.[0-9]{4,5}|[a-z][a-z-]+(\.[A-Z]{2})?/[0-9]{7})(v[0-9]+)?$"
_DOI_ADDRESS = re.compile(r"^(?:https?://)?(?:dx\.|www\.)?doi\.org/|^doi:\s*", re.IGNORECASE)
_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]+)*/\S+")
_ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(?P<id>.+)")
LONGEST_DOI = 200


def bare_arxiv_id(text: str) -> str:
    """The id without address, version, and class of an old archive: "2101.00001", "math/0309136".

    Raises: ValueError where the text is no arXiv id.
    """
    found = _ARXIV_ID.fullmatch(_ARXIV_ADDRESS.sub("", text.strip()))
    if found is None:
        raise ValueError(f"arxiv_id: {text[:60]!r} is not an arXiv id such as 2101.00001 or math/0309136")
    return found["new"] or f"{found['archive'].lower()}/{found['number']}"


def bare_doi(text: str) -> str:
    """The DOI in small letters without address.

    Raises: ValueError where the text is no DOI.
    """
    doi = _DOI_ADDRESS.sub("", text.strip())
    doi = (unquote(doi) if "%" in doi else doi).casefold()
    if not _DOI.fullmatch(doi) or len(doi) > LONGEST_DOI:
        raise ValueError(f"doi: {text[:60]!r} is not a DOI such as 10.1000/182")
    return doi


def bare_ids(arxiv_id: str | None, doi: str | None) -> tuple[str | None, str | None]:
    """Both ids in canonical form. A DOI that arXiv gave says its id, and is none beside it.

    Raises: ValueError naming the field.
    """
    arxiv_id = bare_arxiv_id(arxiv_id) if arxiv_id else None
    doi = bare_doi(doi) if doi else None
    if doi and (own := _ARXIV_DOI.fullmatch(doi)):
        return arxiv_id or bare_arxiv_id(own["id"]), None
    return arxiv_id, doi
