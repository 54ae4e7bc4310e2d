"""Records for operators: reading and looking up; what changes them goes through the services."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from papers import people_admin  # noqa: F401  registers accounts
from papers.models import AuditEntry, Claim, Paper, ReviewItem, Source, Technique, TechniqueLabel, TwinCandidate
from papers.services import FieldError, answers_to, decide, keep_apart, review_claim, withdraw_paper

admin.site.site_header = admin.site.site_title = "Speedproof records"
admin.site.index_title = "Records"


class ReadOnly:
    """Nothing is added, changed or deleted by a form: a form would go round checks, audit and history."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def each(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    change: Callable[[Any], Any],
    done: str,
) -> None:
    """Call a service for each row; what it refuses is told, and the others go on."""
    changed = 0
    for row in rows:
        try:
            changed += change(row) not in (False, "unchanged")
        except FieldError as fault:
            model_admin.message_user(request, f"{row}: {fault}", messages.ERROR)
    model_admin.message_user(request, f"{changed} {done}.", messages.SUCCESS if changed else messages.INFO)


class SourceInline(ReadOnly, admin.TabularInline[Source, Paper]):
    model, extra = Source, 0
    fields = ("kind", "locator", "line", "page_date")


class LabelInline(ReadOnly, admin.TabularInline[TechniqueLabel, Technique]):
    model, extra = TechniqueLabel, 0
    fields = ("facet", "value", "position")


@admin.register(Paper)
class PaperAdmin(ReadOnly, admin.ModelAdmin[Paper]):
    list_display = ("title", "arxiv_id", "doi", "year", "withdrawn_at")
    list_filter = (("withdrawn_at", admin.EmptyFieldListFilter), ("merged_into", admin.EmptyFieldListFilter))
    search_fields = ("title", "arxiv_id", "doi", "slug")
    list_select_related, show_full_result_count = True, False
    inlines = (SourceInline,)
    actions = ("withdraw",)

    @admin.action(description="Withdraw from the lists", permissions=["view"])
    def withdraw(self, request: HttpRequest, rows: QuerySet[Paper]) -> None:
        each(self, request, rows, lambda row: withdraw_paper(row, request.user, "in the admin"), "papers withdrawn")


@admin.register(Technique)
class TechniqueAdmin(ReadOnly, admin.ModelAdmin[Technique]):
    list_display = ("__str__", "kind", "extractor_version", "updated_at")
    list_filter = ("kind", "extractor_version")
    search_fields = ("name", "paper__title")
    list_select_related, show_full_result_count = ("paper",), False
    inlines = (LabelInline,)


@admin.register(Claim)
class ClaimAdmin(ReadOnly, admin.ModelAdmin[Claim]):
    list_display = ("figure", "metric", "paper", "confidence", "review", "reviewed_by")
    list_filter = ("review", "metric", "form", "phase")
    search_fields = ("quote", "paper__title", "baseline")
    list_select_related, show_full_result_count = ("paper", "reviewed_by"), False
    actions = ("accept", "reject")

    @admin.action(description="Accept", permissions=["view"])
    def accept(self, request: HttpRequest, rows: QuerySet[Claim]) -> None:
        each(self, request, rows, lambda row: review_claim(row, "accept", request.user), "claims accepted")

    @admin.action(description="Reject", permissions=["view"])
    def reject(self, request: HttpRequest, rows: QuerySet[Claim]) -> None:
        each(self, request, rows, lambda row: review_claim(row, "reject", request.user), "claims rejected")


@admin.register(ReviewItem)
class ReviewItemAdmin(ReadOnly, admin.ModelAdmin[ReviewItem]):
    list_display = ("key", "reason", "state", "paper", "decision", "decided_by", "created_at")
    list_filter = ("state", "reason")
    search_fields = ("paper__title", "key")
    list_select_related, show_full_result_count = ("paper", "decided_by"), False
    actions = ("accept", "reject")

    @admin.action(description="Accept what is there", permissions=["view"])
    def accept(self, request: HttpRequest, rows: QuerySet[ReviewItem]) -> None:
        each(self, request, rows, lambda row: decide(row, "accept", request.user), "questions answered")

    @admin.action(description="Reject; of two papers: not the same", permissions=["view"])
    def reject(self, request: HttpRequest, rows: QuerySet[ReviewItem]) -> None:
        def refuse(row: ReviewItem) -> Any:
            return decide(row, "distinct" if "distinct" in answers_to(row) else "reject", request.user)

        each(self, request, rows, refuse, "questions answered")


@admin.register(TwinCandidate)
class TwinCandidateAdmin(ReadOnly, admin.ModelAdmin[TwinCandidate]):
    list_display = ("first", "second", "score", "state", "decided_by")
    list_filter = ("state",)
    search_fields = ("first__title", "second__title")
    list_select_related, show_full_result_count = ("first", "second", "decided_by"), False
    actions = ("keep_apart",)

    @admin.action(description="Not the same", permissions=["view"])
    def keep_apart(self, request: HttpRequest, rows: QuerySet[TwinCandidate]) -> None:
        each(self, request, rows, lambda row: keep_apart(row, request.user), "pairs kept apart")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin[AuditEntry]):
    list_display = ("at", "actor", "action", "target")
    list_filter = ("action",)
    search_fields = ("target",)
    list_select_related, show_full_result_count = ("actor",), False
