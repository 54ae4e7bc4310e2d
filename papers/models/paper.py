"""Papers and the places where they were seen."""

from collections.abc import Iterable
from typing import Self

from django.db import models
from django.db.models import Count, Exists, OuterRef, Q
from django.urls import reverse
from django.utils.text import slugify

from papers.folding import fold_title
from papers.likeness import HEAD, START, TAIL, TitleKeys, title_keys

SLUG_LENGTH = 80
TITLE_BLOCKS = tuple(f"title_{name}" for name in TitleKeys._fields)


class PaperQuerySet(models.QuerySet["Paper"]):
    def visible(self) -> Self:
        """Withdrawn papers stay citable at their address and leave the lists."""
        return self.filter(withdrawn_at=None)

    def matching(self, text: str) -> Self:
        """Title, abstract or short name contains every word of text; blank text filters nothing."""
        found = self
        for word in text.split()[:12]:
            found = found.filter(
                Q(title__icontains=word)
                | Q(abstract__icontains=word)
                | Q(summary__icontains=word)
                | Q(technique__name__icontains=word)
            )
        return found

    def with_counts(self) -> Self:
        """Adds claim_count, implementation_count and verified (a verdict that was reached on a GPU exists)."""
        from papers.models.run import Verdict

        judged = Verdict.objects.current().decisive().filter(claim__paper=OuterRef("pk"))
        counted = self.annotate(
            claim_count=Count("claims", filter=Q(claims__withdrawn_at=None), distinct=True),
            implementation_count=Count("implementations", filter=Q(implementations__retired_at=None), distinct=True),
            verified=Exists(judged),
        )
        # An aggregate drops Meta.ordering, and pages would overlap.
        return counted.order_by("-id")

    def for_lists(self) -> Self:
        return self.visible().with_counts().select_related("technique").prefetch_related("technique__labels", "claims")


class Paper(models.Model):
    """A paper, once, however its title was typeset where it was seen."""

    title = models.CharField(max_length=500)
    folded_title = models.CharField(max_length=720, unique=True, editable=False)
    homonym = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="The id that tells this paper from an earlier one of the same title; blank for the earlier one.",
    )
    # Blocks of titles that may be one paper's; see papers/likeness.py.
    title_head = models.CharField(max_length=HEAD, blank=True, editable=False)
    title_start = models.CharField(max_length=START, blank=True, editable=False)
    title_tail = models.CharField(max_length=TAIL, blank=True, editable=False)
    title_words = models.CharField(max_length=40, blank=True, editable=False)
    slug = models.SlugField(max_length=SLUG_LENGTH, unique=True, editable=False)
    arxiv_id = models.CharField(max_length=20, unique=True, null=True, blank=True)
    doi = models.CharField(max_length=200, unique=True, null=True, blank=True)
    abstract = models.TextField(blank=True)
    summary = models.TextField(blank=True, help_text="In our own words, from the card.")
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    published_on = models.DateField(null=True, blank=True)
    authors = models.JSONField(default=list, blank=True)
    author_count = models.PositiveIntegerField(null=True, blank=True)
    votes = models.PositiveIntegerField(null=True, blank=True)
    edited_fields = models.JSONField(default=list, blank=True, help_text="Set by a person; they win over every source.")
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="merged",
        help_text="The paper that this one turned out to be; its address leads there.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = PaperQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(folded_title=""), name="paper_title_not_blank"),
            models.CheckConstraint(condition=~Q(arxiv_id=""), name="paper_arxiv_id_null_not_blank"),
            models.CheckConstraint(condition=~Q(doi=""), name="paper_doi_null_not_blank"),
            models.CheckConstraint(
                condition=Q(merged_into=None) | Q(withdrawn_at__isnull=False), name="paper_merged_is_withdrawn"
            ),
        ]
        # How many visible papers a block holds is told by its index alone.
        indexes = [
            models.Index(fields=[name, "withdrawn_at"], name=f"paper_by_{name}")
            for name in ("title_head", "title_start", "title_tail", "title_words")
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: object, **kwargs: object) -> None:
        self.set_keys()
        if not self.slug:
            self.slug = FreeSlugs().take(self.title)
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def get_absolute_url(self) -> str:
        return reverse("paper", args=[self.slug])

    def set_keys(self) -> None:
        """Bring the keys in line with the title; all but the address, which stays."""
        self.folded_title = fold_title(self.title) + _mark(self.homonym)
        self.title_head, self.title_start, self.title_tail, self.title_words = title_keys(self.title)

    @property
    def title_blocks(self) -> TitleKeys:
        """The blocks that the paper is found in."""
        return TitleKeys(self.title_head, self.title_start, self.title_tail, self.title_words)

    @property
    def arxiv_url(self) -> str:
        """The paper's page, or a search for its title where no id was checked."""
        if self.arxiv_id:
            return f"https://arxiv.org/abs/{self.arxiv_id}"
        from urllib.parse import urlencode

        return "https://arxiv.org/search/?" + urlencode({"query": self.title, "searchtype": "title"})


class FreeSlugs:
    """Addresses that no paper has, asked for many titles at once."""

    # Asked for by name, since not every database can use an index for a beginning.
    _WINDOWS = (range(1, 2), range(2, 10), range(10, 1000), range(1000, 100_000))

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._taken: set[str] = set()

    def ask(self, titles: Iterable[str]) -> None:
        """Learn which of the titles' first addresses are in use."""
        self._look_up([_stem(title) for title in titles])

    def take(self, title: str) -> str:
        """The first address that is free; from now on it is not. Raises: ValueError where there is none."""
        stem = _stem(title)
        for window in self._WINDOWS:
            wanted = _numbered(stem, window)
            self._look_up(wanted)
            if free := next((slug for slug in wanted if slug not in self._taken), None):
                self._taken.add(free)
                return free
        raise ValueError(f"title: more than 100000 papers have an address like {stem!r}")

    def _look_up(self, slugs: list[str]) -> None:
        if new := set(slugs) - self._asked:
            self._asked |= new
            self._taken |= set(Paper.objects.filter(slug__in=new).values_list("slug", flat=True))


def bare_key(folded_title: str, homonym: str) -> str:
    """What `fold_title` makes of the title alone, from the two columns that say it."""
    return folded_title.removesuffix(_mark(homonym))


def _mark(homonym: str) -> str:
    return f"#{homonym}" if homonym else ""


def _stem(title: str) -> str:
    return slugify(title)[: SLUG_LENGTH - 6].strip("-") or "paper"


def _numbered(stem: str, numbers: range) -> list[str]:
    return [stem if n == 1 else f"{stem}-{n}" for n in numbers]


class PaperTitle(models.Model):
    """A title under which a paper is known besides its own: an earlier version's, or that of a paper merged into it."""

    paper = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="other_titles")
    title = models.CharField(max_length=500)
    folded_title = models.CharField(max_length=720, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=~Q(folded_title=""), name="other_title_not_blank")]

    def __str__(self) -> str:
        return self.title


class CodeLink(models.Model):
    """An address of code for a paper, and who says so. `official` is unknown until a source says it."""

    paper = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="code_links")
    url = models.CharField(max_length=500, help_text="In canonical form, so that two spellings are one link.")
    original = models.CharField(max_length=500, blank=True, help_text="As it was given, where that says more.")
    kind = models.CharField(max_length=20, blank=True, help_text="The host, or what the page is.")
    official = models.BooleanField(null=True, blank=True)
    framework = models.CharField(max_length=40, blank=True)
    said_by = models.JSONField(default=list, blank=True, help_text="Every source that names it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["paper", "url"], name="code_link_once_per_paper")]

    def __str__(self) -> str:
        return self.url


class Source(models.Model):
    """One place where a paper was seen: a page or feed, and the line or position on it."""

    paper = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="sources")
    kind = models.CharField(max_length=60)
    locator = models.CharField(max_length=300, help_text="File name, address or id of what was read.")
    line = models.PositiveIntegerField(null=True, blank=True)
    page_date = models.CharField(max_length=40, blank=True)
    seen_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["paper", "kind", "locator"], name="source_once_per_paper_and_place")
        ]

    def __str__(self) -> str:
        return f"{self.locator}:{self.line}" if self.line else self.locator
