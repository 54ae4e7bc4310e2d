"""Our records in the shapes of the Papers with Code dumps, for tools that read those.

The evaluation tables hold what was measured on GPUs here: a task is a family of techniques, a data set is a workload on
one device, a row is the technique beside the rungs of its ladder. Nothing claimed is among the figures.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.urls import reverse

from papers.models import CodeLink, DeviceKind, Facet, Measurement, Paper, RunState, Technique, heavy_fields
from papers.vocabulary import FAMILY_LABELS

Item = dict[str, Any]
_CHUNK = 500


@dataclass(frozen=True)
class Dump:
    """`records` in the order of their keys, and what `item` makes of each."""

    name: str
    about: str
    records: Callable[[], QuerySet[Any]]
    item: Callable[[Any], Item]
    has_texts: bool = False

    @property
    def file_name(self) -> str:
        return f"{self.name}.json.gz"

    def items(self) -> Iterator[Item]:
        return (self.item(record) for record in self.records().iterator(chunk_size=_CHUNK))


@dataclass(frozen=True)
class Tables:
    """A dump that is put together from many records."""

    name: str
    about: str
    items: Callable[[], Iterator[Item]]
    has_texts: bool = False

    @property
    def file_name(self) -> str:
        return f"{self.name}.json.gz"


def paper_url(paper: Paper) -> str:
    """The address without host: a file does not know under which name it will be served."""
    return reverse("paper", args=[paper.slug])


def _pages_of(paper: Paper) -> tuple[str | None, str | None]:
    if paper.arxiv_id:
        return f"https://arxiv.org/abs/{paper.arxiv_id}", f"https://arxiv.org/pdf/{paper.arxiv_id}"
    return (f"https://doi.org/{paper.doi}" if paper.doi else None), None


# ── links ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def links() -> QuerySet[CodeLink]:
    return CodeLink.objects.filter(paper__withdrawn_at=None).select_related("paper").order_by("pk")


def _link(link: CodeLink) -> Item:
    page, pdf = _pages_of(link.paper)
    return {
        "paper_url": paper_url(link.paper),
        "paper_title": link.paper.title,
        "paper_arxiv_id": link.paper.arxiv_id,
        "paper_url_abs": page,
        "paper_url_pdf": pdf,
        "repo_url": link.url,
        "is_official": link.official,  # null: no source says
        "mentioned_in_paper": bool({"abstract", "paper"} & set(link.said_by)),
        "mentioned_in_github": None,  # not looked for
        "framework": link.framework or "none",
    }


# ── papers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def papers_with_abstracts() -> QuerySet[Paper]:
    found = Paper.objects.visible().exclude(abstract="").select_related("technique")
    return found.prefetch_related("technique__labels").order_by("pk")


def _paper(paper: Paper) -> Item:
    page, pdf = _pages_of(paper)
    technique = getattr(paper, "technique", None)
    families = technique.families if technique else []
    return {
        "paper_url": paper_url(paper),
        "arxiv_id": paper.arxiv_id,
        "title": paper.title,
        "abstract": paper.abstract,
        "short_abstract": None,
        "url_abs": page,
        "url_pdf": pdf,
        "proceeding": None,
        "authors": paper.authors,
        "tasks": [FAMILY_LABELS.get(family, family) for family in families],
        "date": paper.published_on.isoformat() if paper.published_on else None,
        "methods": [_method(paper, technique)] if technique and technique.name else [],
    }


# ── methods ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def methods() -> QuerySet[Technique]:
    """Techniques that have a name, each with the paper that introduced it."""
    return (
        Technique.objects.filter(paper__withdrawn_at=None)
        .exclude(name="")
        .select_related("paper")
        .prefetch_related("labels", "paper__code_links")
        .order_by("pk")
    )


def _method(paper: Paper, technique: Technique) -> Item:
    return {
        "name": technique.name,
        "full_name": technique.name,
        "description": paper.summary or technique.mechanism,
        "introduced_year": paper.year or (paper.published_on.year if paper.published_on else None),
        "source_url": _pages_of(paper)[0],
        "source_title": paper.title,
        "code_snippet_url": None,
        "main_collection": _collection(technique),
    }


def _whole_method(technique: Technique) -> Item:
    paper = technique.paper
    official = next((link.url for link in paper.code_links.all() if link.official), None)
    return {
        "url": reverse("technique", args=[paper.slug]),
        **_method(paper, technique),
        "code_snippet_url": official or "",
        "paper": {"title": paper.title, "url": paper_url(paper)},
        "collections": [
            {"collection": FAMILY_LABELS.get(one, one), "area": "Efficiency"} for one in technique.families
        ],
    }


def _collection(technique: Technique) -> Item | None:
    family = next(iter(technique.families), None)
    return {"name": FAMILY_LABELS.get(family, family), "description": "", "area": "Efficiency"} if family else None


# ── evaluation tables ───────────────────────────────────────────────────────────────────────────────────────────────
def evaluation_tables() -> Iterator[Item]:
    """A family an item, one in memory at a time. Figures are measured, and on GPUs only."""
    for family, label in FAMILY_LABELS.items():
        datasets = list(_datasets(family))
        if datasets:
            yield {
                "task": label,
                "description": "",
                "categories": ["Efficiency"],
                "datasets": datasets,
                "subtasks": [],
                "synonyms": [],
                "source_link": None,
            }


def _datasets(family: str) -> Iterator[Item]:
    figures = (
        Measurement.objects.filter(
            run__state=RunState.FINISHED,
            run__status="PASSED",
            run__device_kind=DeviceKind.CUDA,
            run__implementation__retired_at=None,
            measure="time",
            subject="technique",
            ratio__isnull=False,
            run__implementation__paper__technique__labels__facet=Facet.FAMILY,
            run__implementation__paper__technique__labels__value=family,
        )
        .exclude(baseline="")
        .select_related("run__implementation__paper__technique", "run__device")
        .prefetch_related(Prefetch("run__implementation__paper__code_links"))
        .defer("samples", *heavy_fields("run"))
        .order_by("run__implementation__name", "workload", "run__device__name", "-run_id", "baseline")
    )
    tables: dict[tuple[str, str, str], tuple[int, list[Measurement]]] = {}
    for figure in figures.iterator(chunk_size=_CHUNK):
        run = figure.run
        where = (run.implementation.name, figure.workload, run.device.name if run.device else "")
        newest, rows = tables.setdefault(where, (run.pk, []))
        if run.pk == newest:
            rows.append(figure)
    for (name, workload, device), (_, rows) in tables.items():
        yield _dataset(f"{name}, {workload} on {device}", rows)


def _dataset(name: str, figures: list[Measurement]) -> Item:
    metrics = [f"speed-up over {figure.baseline}" for figure in figures]
    run = figures[0].run
    paper = run.implementation.paper
    technique = getattr(paper, "technique", None)
    row = {
        "model_name": (technique.name if technique else "") or run.implementation.name,
        "paper_title": paper.title,
        "paper_url": _pages_of(paper)[0] or "",
        "paper_date": paper.published_on.isoformat() if paper.published_on else None,
        "code_links": [{"title": "Authors' code", "url": one.url} for one in paper.code_links.all() if one.official],
        "model_links": [],
        "metrics": {metric: f"{figure.ratio:.4g}" for metric, figure in zip(metrics, figures, strict=True)},
        "uses_additional_data": False,
    }
    return {
        "dataset": name,
        "description": f"Measured in run {run.pk}; baseline ÷ technique, above 1 is better.",
        "subdatasets": [],
        "dataset_links": [{"title": f"Run {run.pk}", "url": reverse("run", args=[run.pk])}],
        "dataset_citations": [],
        "sota": {"metrics": metrics, "rows": [row]},
    }


LINKS = Dump("links-between-papers-and-code", "Links between papers and code.", links, _link)
METHODS = Dump("methods", "Techniques that have a name, with their papers.", methods, _whole_method)
EVALUATION = Tables("evaluation-tables", "What was measured on GPUs here, by family.", evaluation_tables)
PAPERS = Dump("papers-with-abstracts", "Papers with their abstracts.", papers_with_abstracts, _paper, has_texts=True)
DUMPS = (LINKS, METHODS, EVALUATION, PAPERS)
