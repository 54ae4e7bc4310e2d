"""The review queue: one question after another, answered in place or as plain forms."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import replace_url

from papers.addresses import ignore, reads
from papers.guards import needs
from papers.models import Claim, ReviewItem, ReviewReason
from papers.models.review import ReviewItemQuerySet
from papers.review_forms import FormField, changed_in, claim_form, field_form
from papers.roles import EDIT
from papers.services import (
    CORRECTABLE,
    AlreadyDecided,
    FieldError,
    answers_to,
    decide,
    open_questions,
    subject_of,
)
from papers.views import wants_partial
from papers.vocabulary import label_of

NEXT_IN_LINE = 6
# What the page says after an answer.
DONE = {
    "accept": "Accepted",
    "correct": "Corrected",
    "reject": "Rejected",
    "take": "Set to what the endpoint says",
    "merge": "Merged",
    "distinct": "Kept apart",
}


reviewers_only = needs(EDIT, "review")


@dataclass(frozen=True)
class Filter:
    """What of the queue is shown; anything that is none of the words shows all that is open."""

    reason: str
    decided: bool

    @classmethod
    def of(cls, given: QueryDict) -> "Filter":
        reason = given.get("reason", "")
        return cls(reason if reason in ReviewReason.values else "", given.get("state") == "decided")

    def items(self) -> ReviewItemQuerySet:
        found = ReviewItem.objects.decided() if self.decided else open_questions()
        return (found.filter(reason=self.reason) if self.reason else found).order_by("pk")

    def address(self, item: int | None = None) -> str:
        query = QueryDict(mutable=True)
        for name, value in (("reason", self.reason), ("state", "decided" if self.decided else ""), ("item", item)):
            if value:
                query[name] = str(value)
        return reverse("review") + (f"?{query.urlencode()}" if query else "")


@reads("reason", "state", "item")
@never_cache
@reviewers_only
@require_safe
@vary_on_headers("HX-Request")
def review(request: HttpRequest) -> HttpResponse:
    chosen = Filter.of(request.GET)
    given = request.GET.get("item", "")
    pk = int(given) if given.isascii() and given.isdigit() and len(given) < 18 else 0
    if given.strip() and not pk:
        ignore(request, "item", "the number of a question, such as 12")
    if request.GET.get("reason", "").strip() and not chosen.reason:
        ignore(request, "reason", f"known: {', '.join(ReviewReason.values)}")
    if request.GET.get("state", "").strip() and not chosen.decided:
        ignore(request, "state", "known: decided")
    return _show(request, chosen, _at_or_after(chosen, pk))


@never_cache
@reviewers_only
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer one question and show the next, or the same with what was wrong."""
    item = get_object_or_404(ReviewItem.objects.for_lists(), pk=pk)
    chosen = Filter.of(request.GET)
    decision, _, which = request.POST.get("decision", "").partition(":")
    form = _form_of(item)
    try:
        fields = changed_in(form, request.POST)
        if fields and decision in ("accept", "reject", "take"):
            raise FieldError("decision", "would lose what you changed below; press Correct, or take the change back")
        pair = {"first": item.twin.first, "second": item.twin.second} if item.twin else {}
        decide(
            item,
            decision,
            request.user,
            fields=fields,
            note=request.POST.get("note", ""),
            keep=pair[which].slug if which in pair else "",
            again=chosen.decided,
        )
    except AlreadyDecided as fault:
        said = f"This question was answered in the meantime: it {fault.message}."
        return _go_on(request, chosen, item, said, messages.WARNING)
    except FieldError as fault:
        return _show(request, chosen, item, fault=_told(fault, item, form), given=request.POST)
    return _go_on(request, chosen, item, f"{DONE[decision]}: {_name_of(item)}.", messages.SUCCESS)


def _go_on(request: HttpRequest, chosen: Filter, item: ReviewItem, said: str, level: int) -> HttpResponse:
    following = item if chosen.decided else _at_or_after(chosen, item.pk + 1)
    address = chosen.address(following.pk if following else None)
    if not wants_partial(request):
        messages.add_message(request, level, said)
        return HttpResponseRedirect(address)
    return replace_url(_show(request, chosen, following, said=said), address)


def _at_or_after(chosen: Filter, pk: int) -> ReviewItem | None:
    """The item, or the next one of the filter; behind the last one comes the first."""
    items = chosen.items().for_lists()
    return items.filter(pk__gte=pk).first() or (items.first() if pk else None)


def _show(
    request: HttpRequest,
    chosen: Filter,
    item: ReviewItem | None,
    *,
    said: str = "",
    fault: FieldError | None = None,
    given: QueryDict | None = None,
) -> HttpResponse:
    context = {"chosen": chosen, "said": said, "fault": fault, **_counts(chosen)}
    if item is not None:
        context |= _item_context(chosen, item, fault, given)
    template = "review/_queue.html" if wants_partial(request) else "review/review.html"
    # HTMX swaps nothing in on an error status; without it the status says what happened.
    status = 422 if fault and not wants_partial(request) else 200
    return render(request, template, context, status=status)


def _counts(chosen: Filter) -> dict[str, Any]:
    waiting = dict(open_questions().order_by().values_list("reason").annotate(found=Count("pk")))
    decided = Filter("", True).items().count()
    total = sum(waiting.values())
    reasons = [
        (value, label, waiting.get(value, 0), Filter(value, False).address()) for value, label in ReviewReason.choices
    ]
    return {"reasons": reasons, "open_count": total, "decided_count": decided, "all_count": total + decided}


def _item_context(
    chosen: Filter, item: ReviewItem, fault: FieldError | None, given: QueryDict | None
) -> dict[str, Any]:
    items = chosen.items()
    before = items.filter(pk__lt=item.pk)
    after = list(items.filter(pk__gt=item.pk).for_lists()[:NEXT_IN_LINE])
    previous = before.last()
    form = _form_of(item)
    for field in form:
        field.take(given, fault)
    subject = subject_of(item)
    context: dict[str, Any] = {
        "item": item,
        "subject": subject,
        "answers": answers_to(item),
        "decided_as": DONE.get(item.decision, item.decision),
        "form": form,
        "note": given.get("note", "") if given else "",
        "position": before.count() + 1,
        "found": items.count(),
        "previous": chosen.address(previous.pk) if previous else "",
        "following": chosen.address(after[0].pk) if after else "",
        "skip": chosen.address(after[0].pk if after else None),
        "in_line": [(row, _name_of(row), chosen.address(row.pk)) for row in after],
        "action": reverse("review-answer", args=[item.pk]) + chosen.address().removeprefix(reverse("review")),
    }
    if subject == "twin":
        context["pair"] = _pair(item)
    else:
        claims = list(Claim.objects.filter(paper=item.paper, withdrawn_at=None).order_by("start", "pk"))
        context["others"] = [c for c in claims if c.pk != item.claim_id]
        context["evidence"] = item.claim or _proposed(item)
        against = {row["claim"] for row in item.details.get("with", ()) if isinstance(row, dict)}
        context["against"] = [c for c in claims if c.pk in against]
        context["differences"] = _differences(item)
    return context


def _form_of(item: ReviewItem) -> list[FormField]:
    subject = subject_of(item)
    if subject == "twin":
        return []
    if subject == "field":
        return field_form(item.field, getattr(getattr(item.paper, "technique", None), item.field, None))
    claim = item.claim or _proposed(item)
    return claim_form(claim) if claim else []


def _proposed(item: ReviewItem) -> Claim | None:
    """A claim that exists only as the endpoint's proposal, unsaved."""
    proposal = item.details.get("proposal")
    if not isinstance(proposal, dict):
        return None
    said = item.details.get("endpoint") or {}
    fields = {name: value for name, value in proposal.items() if name in CORRECTABLE and value is not None}
    return Claim(paper=item.paper, start=said.get("start"), end=said.get("end"), **fields)


def _differences(item: ReviewItem) -> list[tuple[str, tuple[str, str], tuple[str, str]]]:
    """What the rules and the endpoint say, field by field: each the value, and the words that it goes by."""
    rules, endpoint = item.details.get("rules"), item.details.get("endpoint")
    if not isinstance(rules, dict) or not isinstance(endpoint, dict):
        return []
    if item.field:
        said = [(_shown(side.get("value")), ", ".join(map(str, side.get("words") or ()))) for side in (rules, endpoint)]
        return [(item.field, said[0], said[1])]
    names = item.details.get("differs") or ()
    return [(name, (_shown(rules.get(name)), ""), (_shown(endpoint.get(name)), "")) for name in names]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(label_of(str(word)) for word in value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "" if value is None else label_of(str(value))


def _pair(item: ReviewItem) -> list[dict[str, Any]]:
    twin = item.twin
    assert twin is not None  # noqa: S101 - asked for twins alone
    told = twin.explanation
    return [
        {
            "which": which,
            "paper": paper,
            "words": told.get(f"only_{which}", []),
            "sources": list(paper.sources.all()[:5]),
            "claim_count": Claim.objects.visible().filter(paper=paper).count(),
        }
        for which, paper in (("first", twin.first), ("second", twin.second))
    ]


def _name_of(item: ReviewItem) -> str:
    """What a line says of an item: the figure, the field, or the title."""
    if item.twin is not None:
        return item.twin.second.title
    if item.claim is not None:
        return f"{item.claim.figure}, {item.paper.title}"
    return f"{label_of(item.field or 'a missed claim')}, {item.paper.title}"


def _told(fault: FieldError, item: ReviewItem, form: list[FormField]) -> FieldError:
    """An error at the input that it is about; one that has no input, such as "fields" at large, belongs to the buttons."""
    if fault.field == "fields":
        return FieldError("decision", "changes nothing: change a field first, or press Accept")
    if item.field and fault.field == item.field:
        return FieldError("value", fault.message)
    if fault.field in {"decision", "claim", "keep", *(field.name for field in form)}:
        return fault
    return FieldError("decision", f"{label_of(fault.field)} {fault.message}")
