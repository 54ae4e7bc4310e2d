"""Tokens: made, shown once, and taken back. Every change is audited."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from api.models import NEEDED, ApiToken, Scope
from papers.roles import may, role_of
from papers.services import Actor, FieldError, write_audit
from papers.services.common import text_of

MAX_TOKENS = 50  # that one account may have in use
LONGEST_DAYS = 366


def scopes_for(user: Any) -> list[Scope]:
    """What a token of the user may hold."""
    return [scope for scope in Scope if NEEDED[scope] == "" or may(user, NEEDED[scope])]


def make_token(
    owner: Any, label: str, scopes: list[str], expires_at: datetime | None, actor: Actor
) -> tuple[ApiToken, str]:
    """The row and the token, which is kept nowhere. expires_at: None for never.

    Raises: FieldError naming the field.
    """
    label = text_of("label", label, 80, blank=False)
    allowed = [scope.value for scope in scopes_for(owner)]
    if not scopes:
        raise FieldError("scopes", "is empty; choose at least one")
    for scope in scopes:
        if scope not in Scope.values:
            raise FieldError("scopes", f"{scope[:40]!r} is not one of: {', '.join(Scope.values)}")
        if scope not in allowed:
            raise FieldError("scopes", f"{scope!r} is more than the role “{role_of(owner).label}” allows")
    if Scope.DEVICE in scopes and len(set(scopes)) > 1:
        raise FieldError("scopes", "hold “device” beside others; a machine that runs code gets a token for that alone")
    if expires_at is not None and expires_at <= timezone.now():
        raise FieldError("expires_at", "lies in the past")
    with transaction.atomic():
        get_user_model().objects.select_for_update().get(pk=owner.pk)  # two at once shall not both take the last place
        if ApiToken.objects.in_use(owner).count() >= MAX_TOKENS:
            raise FieldError("label", f"{MAX_TOKENS} tokens are in use already; revoke one first")
        row, token = ApiToken.objects.issue(owner, label, scopes, expires_at)
        ends = expires_at.isoformat() if expires_at else "never"
        write_audit(actor, "make-token", f"{owner.get_username()} {row.pk}", label=label, scopes=row.scopes, ends=ends)
    return row, token


def in_days(days: int) -> datetime:
    """Raises: FieldError where that is no sensible number of days."""
    if not 1 <= days <= LONGEST_DAYS:
        raise FieldError("expires_at", f"give 1 to {LONGEST_DAYS} days")
    return timezone.now() + timedelta(days=days)


def revoke_token(token: ApiToken, actor: Actor) -> bool:
    """False where it was revoked already."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        write_audit(actor, "revoke-token", f"{token.owner.get_username()} {token.pk}", label=token.label)
    return True


def revoke_all_tokens(owner: Any, actor: Actor) -> int:
    return sum(revoke_token(token, actor) for token in ApiToken.objects.in_use(owner))
