"""What papers and techniques can be filtered by: one set of parameters for pages, search and API."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import django_filters as filters
from django import forms
from django.db.models import Case, CharField, Count, F, OrderBy, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from papers.models import Claim, Facet, Implementation, Paper, Technique, TechniqueLabel, Verdict
from papers.rankings import RANKINGS
from papers.vocabulary import FAMILY_LABELS, KIND_LABELS, METRIC_LABELS, MODALITY_LABELS, STAGE_LABELS, label_of

TRAINING = (("free", "Applies without training"), ("needed", "Needs training"), ("unclear", "Not stated"))
TRAINING_VALUES = {"free": True, "needed": False, "unclear": None}
YES_NO = (("true", "Yes"), ("false", "No"))
RANKING_WORDS = (
    ("claimed", "Largest claimed gain"),
    ("measured", "Best measured on a GPU"),
    ("gap", "Largest gap to the claim"),
)
ORDERINGS = (
    ("newest", "Newest"),
    *RANKING_WORDS,
    ("claims", "Most claims"),
    ("votes", "Most votes"),
    ("title", "Title"),
)
LABEL_FACETS = ("family", "modality", "stage", "hardware")
FIRST_OPTIONS = 8  # of a facet, as a page shows it until somebody asks for the others
FEW_OPTIONS = 2  # so few others are shown as well
# In the order in which a page shows them.
FACET_TITLES = {
    "runnable": "Can be run here",
    "verified": "Measured on a GPU",
    "family": "Family",
    "stage": "Stage",
    "modality": "Modality",
    "metric": "Claimed metric",
    "hardware": "Hardware named",
    "training": "Training",
    "kind": "Kind of paper",
}


@dataclass(frozen=True)
class FacetOption:
    """A value of a facet and how many papers the page would show with it, all other facets applied."""

    value: str
    label: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class FacetGroup:
    name: str
    title: str
    options: list[FacetOption]
    single: bool
    errors: list[str]
    whole: bool = False  # whether a page shows all of it, not only `first`

    @property
    def is_used(self) -> bool:
        return any(option.chosen for option in self.options)

    @property
    def useful(self) -> list[FacetOption]:
        """The options that lead to a paper, and those that can be taken back."""
        return [option for option in self.options if option.count or option.chosen or self.single]

    @property
    def first(self) -> list[FacetOption]:
        """The most frequent options, and whatever is chosen; all of them where hardly any would be left out."""
        useful = self.useful
        if len(useful) <= FIRST_OPTIONS + FEW_OPTIONS:
            return useful
        return [option for at, option in enumerate(useful) if at < FIRST_OPTIONS or option.chosen]

    @property
    def shown(self) -> list[FacetOption]:
        return self.useful if self.whole else self.first


class HardwareField(forms.MultipleChoiceField):
    """Names of hardware as papers write them: an open set, so a value is checked against what was stored."""

    def __init__(self, **options: Any) -> None:
        options.pop("null_label", None)
        options.pop("null_value", None)
        super().__init__(**options)

    def validate(self, value: list[str]) -> None:
        asked = [word for word in value if "\x00" not in word]  # PostgreSQL refuses it in any text
        labels = TechniqueLabel.objects.filter(facet=Facet.HARDWARE, value__in=asked)
        known = set(labels.values_list("value", flat=True).distinct()) if asked else set()
        if unknown := [word for word in value if word not in known]:
            raise forms.ValidationError(f"No paper names the hardware “{unknown[0][:60]}”.")


class HardwareFilter(filters.MultipleChoiceFilter):
    field_class = HardwareField


class YearFilter(filters.NumberFilter):
    field_class = forms.IntegerField


def one_of(choices: Iterable[tuple[str, str]]) -> dict[str, str]:
    values = [value for value, _ in choices]
    shown = values if len(values) <= 12 else [*values[:5], f"or {len(values) - 5} more"]
    words = ", ".join(shown)
    return {"invalid_choice": f"“%(value)s” is not one of: {words}."}


def word_filter(label: str, words: dict[str, str], method: str) -> filters.MultipleChoiceFilter:
    """A filter by some of the words of one vocabulary."""
    choices = list(words.items())
    return filters.MultipleChoiceFilter(label=label, choices=choices, method=method, error_messages=one_of(choices))


class RecordFilter(filters.FilterSet):
    """Values of one parameter are alternatives, parameters must hold together."""

    paper_ref: ClassVar[str] = "pk"

    q = filters.CharFilter(method="of_words", label="Words", max_length=400)
    family = word_filter("Family", FAMILY_LABELS, "of_labels")
    modality = word_filter("Modality", MODALITY_LABELS, "of_labels")
    stage = word_filter("Stage", STAGE_LABELS, "of_labels")
    hardware = HardwareFilter(method="of_labels", label="Hardware")
    metric = word_filter("Claimed metric", METRIC_LABELS, "of_metrics")
    kind = word_filter("Kind of paper", KIND_LABELS, "of_kinds")
    training = filters.MultipleChoiceFilter(
        label="Training", choices=TRAINING, method="of_training", error_messages=one_of(TRAINING)
    )
    # Words rather than booleans, so that a value that is neither is refused instead of ignored.
    runnable = filters.ChoiceFilter(
        label="Can be run here", choices=YES_NO, method="of_runnable", error_messages=one_of(YES_NO)
    )
    verified = filters.ChoiceFilter(
        label="Measured on a GPU", choices=YES_NO, method="of_verified", error_messages=one_of(YES_NO)
    )
    year = YearFilter(method="of_year", label="Year", min_value=1950, max_value=2100)

    def _papers(self, found: QuerySet[Any], ids: QuerySet[Any], wanted: bool = True) -> QuerySet[Any]:
        among = Q(**{f"{self.paper_ref}__in": ids})
        return found.filter(among if wanted else ~among)

    def of_words(self, found: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return self._papers(found, Paper.objects.matching(value).order_by().values("pk"))

    def of_labels(self, found: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        labels = TechniqueLabel.objects.filter(facet=name, value__in=value)
        return self._papers(found, labels.order_by().values("technique__paper_id")) if value else found

    def of_metrics(self, found: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        claims = Claim.objects.visible().filter(metric__in=value)
        return self._papers(found, claims.order_by().values("paper_id")) if value else found

    def of_kinds(self, found: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        return self._papers(found, Technique.objects.filter(kind__in=value).order_by().values("paper_id"))

    def of_training(self, found: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        stated = [TRAINING_VALUES[word] for word in value]
        wanted = Q(technique__training_free__in=[flag for flag in stated if flag is not None])
        if None in stated:  # no technique record says nothing of training either
            wanted |= Q(technique__training_free=None)
        return self._papers(found, Paper.objects.filter(wanted).order_by().values("pk"))

    def of_runnable(self, found: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return self._papers(found, runnable_papers(), value == "true")

    def of_verified(self, found: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return self._papers(found, verified_papers(), value == "true")

    def of_year(self, found: QuerySet[Any], name: str, value: Any) -> QuerySet[Any]:
        return self._papers(found, Paper.objects.filter(year=int(value)).order_by().values("pk"))

    @property
    def narrows(self) -> bool:
        """Whether any filter is set; words and ordering are none."""
        chosen = self.form.cleaned_data if self.form.is_valid() or hasattr(self.form, "cleaned_data") else {}
        return any(value for name, value in chosen.items() if name not in ("q", "ordering"))


def runnable_papers() -> QuerySet[Any]:
    return Implementation.objects.filter(retired_at=None).order_by().values("paper_id")


def verified_papers() -> QuerySet[Any]:
    return Verdict.objects.current().decisive().order_by().values("claim__paper_id")


def newest(prefix: str = "") -> tuple[OrderBy, ...]:
    """By the paper's date, as far as it is known; `prefix` leads to the paper."""
    dates = (F(f"{prefix}published_on").desc(nulls_last=True), F(f"{prefix}year").desc(nulls_last=True))
    return *dates, F(f"{prefix}pk").desc()


def most_claims(paper: str) -> OrderBy:
    """By the number of claims; `paper` is the outer query's way to the paper's key."""
    counted = Claim.objects.visible().filter(paper=OuterRef(paper)).order_by().values("paper")
    return Coalesce(Subquery(counted.annotate(found=Count("pk")).values("found")), 0).desc()


def by_figure(name: str, paper: str) -> OrderBy:
    return RANKINGS[name].of(paper).desc(nulls_last=True)


class TechniqueOrdering(filters.OrderingFilter):
    """By fields of the record, or by what is known of the paper; papers of equal rank come newest first."""

    of_papers = ("newest", "claims", *RANKINGS)

    def __init__(self, **options: Any) -> None:
        fields = {"paper_id": "id", "name": "name", "updated_at": "updated_at"}
        words = [*self.build_choices(fields, {}), *((name, dict(ORDERINGS)[name]) for name in self.of_papers)]
        super().__init__(fields=fields, choices=words, error_messages=one_of(words), **options)

    def filter(self, qs: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        if not value:
            return qs
        wanted = [each for word in value for each in self._order_of(word)]
        ties = newest("paper__") if set(value) & set(self.of_papers) else ()
        return qs.order_by(*wanted, *ties, "-paper_id")

    def _order_of(self, word: str) -> Iterable[Any]:
        if word in RANKINGS:
            return [by_figure(word, "paper_id")]
        if word == "claims":
            return [most_claims("paper_id")]
        return newest("paper__") if word == "newest" else [self.get_ordering_value(word)]


class TechniqueFilter(RecordFilter):
    paper_ref = "paper_id"
    ordering = TechniqueOrdering(label="Sort by")

    class Meta:
        model = Technique
        fields: list[str] = []


class PaperFilter(RecordFilter):
    ordering = filters.ChoiceFilter(
        choices=ORDERINGS, method="in_order", label="Sort by", error_messages=one_of(ORDERINGS), empty_label=None
    )

    class Meta:
        model = Paper
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found: QuerySet[Any] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("ordering") else found.order_by(*newest())

    def in_order(self, found: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if value in RANKINGS:
            return found.order_by(by_figure(value, "pk"), *newest())
        if value == "claims":
            return found.order_by(most_claims("pk"), *newest())
        if value == "votes":
            return found.order_by(F("votes").desc(nulls_last=True), *newest())
        return found.order_by("folded_title") if value == "title" else found.order_by(*newest())

    _within: Callable[[str], Iterable[int]] | None = None

    # ── facets ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def facets(self, within: Callable[[str], Iterable[int]] | None = None) -> list[FacetGroup]:
        """Every facet with its counts, in one query; `within` gives, for a facet, the papers to count among."""
        counted = self._counts(within)
        return [self._group(name, counted[name]) for name in FACET_TITLES]

    def _group(self, name: str, counts: dict[str, int]) -> FacetGroup:
        given = set(self.data.getlist(name) if hasattr(self.data, "getlist") else self.data.get(name) or ())
        errors = [str(message) for message in self.form.errors.get(name, [])]
        labels = dict(self.filters[name].extra.get("choices") or ())
        chosen = {word for word in given if word in labels or word in counts}
        # A chosen value stays in sight, and can be taken back, when no paper is left that has it.
        words = sorted({*counts, *chosen}, key=lambda word: (-counts.get(word, 0), word))
        if name in ("runnable", "verified", "training"):
            words = list(labels)
        options = [FacetOption(w, labels.get(w) or label_of(w), counts.get(w, 0), w in chosen) for w in words if w]
        return FacetGroup(name, FACET_TITLES[name], options, name in ("runnable", "verified"), errors)

    def passing_without(self, name: str) -> set[int] | None:
        """Ids of the papers that pass all filters but one; None where no other is set."""
        self.form.is_valid()
        if not any(value for other, value in self.form.cleaned_data.items() if other not in (name, "ordering", "q")):
            return None
        return set(self._without(name).values_list("pk", flat=True))

    def _without(self, name: str) -> QuerySet[Paper]:
        found = Paper.objects.visible()
        if self._within is not None:
            return found.filter(pk__in=list(self._within(name))).order_by()
        for other, value in self.form.cleaned_data.items():
            if other not in (name, "ordering"):
                found = self.filters[other].filter(found, value)
        return found.order_by()

    def _counts(self, within: Callable[[str], Iterable[int]] | None = None) -> dict[str, dict[str, int]]:
        self.form.is_valid()
        self._within = within
        training = Case(
            When(technique__training_free=True, then=Value("free")),
            When(technique__training_free=False, then=Value("needed")),
            default=Value("unclear"),
        )
        branches = [
            *(self._label_counts(name) for name in LABEL_FACETS),
            self._counted(
                "metric", Claim.objects.visible().filter(paper__in=self._ids("metric")), F("metric"), "paper"
            ),
            self._counted("kind", self._without("kind").exclude(technique=None), F("technique__kind"), "pk"),
            self._counted("training", self._without("training"), training, "pk"),
            self._counted("runnable", self._without("runnable"), _yes_if(runnable_papers()), "pk"),
            self._counted("verified", self._without("verified"), _yes_if(verified_papers()), "pk"),
        ]
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for row in branches[0].union(*branches[1:], all=True):
            counts[row["group"]][row["word"]] = row["found"]
        return counts

    def _ids(self, name: str) -> QuerySet[Any]:
        return self._without(name).values("pk")

    def _label_counts(self, name: str) -> QuerySet[Any]:
        labels = TechniqueLabel.objects.filter(facet=name, technique__paper__in=self._ids(name))
        return self._counted(name, labels, F("value"), "technique")

    @staticmethod
    def _counted(name: str, rows: QuerySet[Any], word: Any, what: str) -> QuerySet[Any]:
        named = rows.order_by().annotate(group=Value(name, CharField()), word=word)
        counted: QuerySet[Any] = named.values("group", "word").annotate(found=Count(what, distinct=True))
        return counted


def _yes_if(papers: QuerySet[Any]) -> Case:
    return Case(When(pk__in=papers, then=Value("true")), default=Value("false"), output_field=CharField())
