"""People: who has an account, in which role, and where they are signed in. Every change is audited."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from papers.models import SignIn
from papers.models.people import SEEN_EVERY
from papers.roles import PERMISSIONS, Role, is_operator, new_account_role, role_of
from papers.services.common import Actor, FieldError, one_of, write_audit

SEEN_KEY = "seen"  # in the session: when its row was last touched, as seconds


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def make_roles(**options: Any) -> None:
    """Groups and their permissions, as papers.roles says; after each migration."""
    for role, names in PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=role.value)
        codenames = [name.split(".")[1] for name in names]
        wanted = Permission.objects.filter(content_type__app_label="papers", codename__in=codenames)
        if set(group.permissions.values_list("pk", flat=True)) != set(wanted.values_list("pk", flat=True)):
            group.permissions.set(wanted)


def give_role(user: User, role: Role) -> None:
    """Put the user into the group of the role alone. Operators are staff, so that the admin lets them in."""
    others = Group.objects.filter(name__in=Role.values).exclude(name=role.value)
    user.groups.remove(*others)
    user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    operates = role is Role.OPERATOR
    if (user.is_staff, user.is_superuser) != (operates, operates):
        user.is_staff = user.is_superuser = operates
        user.save(update_fields=["is_staff", "is_superuser"])
    for cache in ("_perm_cache", "_user_perm_cache", "_group_perm_cache"):
        user.__dict__.pop(cache, None)


def set_role(user: User, role: str, actor: Actor) -> bool:
    """False where the user has that role already. The last operator who can sign in keeps it.

    Raises: FieldError naming the field.
    """
    wanted = Role(one_of("role", role, Role.values))
    with transaction.atomic():
        row = get_user_model().objects.select_for_update().get(pk=user.pk)
        before = role_of(row)
        if before is wanted and row.groups.filter(name=wanted.value).exists():
            return False
        if before is Role.OPERATOR and wanted is not Role.OPERATOR:
            _keep_an_operator(row, "role")
        give_role(row, wanted)
        write_audit(actor, "set-role", row.get_username(), before=before.value, after=wanted.value)
    user.refresh_from_db()
    return True


def _keep_an_operator(row: User, field: str) -> None:
    others = get_user_model().objects.filter(Q(is_staff=True) | Q(is_superuser=True), is_active=True).exclude(pk=row.pk)
    if row.is_active and not others.exists():
        raise FieldError(field, f"{row.get_username()} is the only operator; make another one first")


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────────
def add_person(name: str, role: str, actor: Actor, *, password: str | None = None, email: str = "") -> User:
    """A new account; without a password nobody can sign in to it with one.

    Raises: FieldError naming the field.
    """
    model = get_user_model()
    wanted = Role(one_of("role", role or new_account_role().value, Role.values))
    person = model(username=model.normalize_username(name.strip()), email=email.strip())
    person.set_password(password)
    try:
        person.full_clean(exclude=["password"])
        if password is not None:
            validate_password(password, person)
    except ValidationError as fault:
        raise _as_field_error(fault) from None
    with transaction.atomic():
        person.save()
        give_role(person, wanted)
        write_audit(actor, "add-person", person.get_username(), role=wanted.value)
    return person


def _as_field_error(fault: ValidationError) -> FieldError:
    if hasattr(fault, "error_dict"):
        field, messages = next(iter(fault.message_dict.items()))
        return FieldError("name" if field == "username" else field, " ".join(messages))
    return FieldError("password", " ".join(fault.messages))


def set_active(user: User, active: bool, actor: Actor) -> bool:
    """Close an account, and end every session of it; or open it again. False where nothing changed."""
    with transaction.atomic():
        row = get_user_model().objects.select_for_update().get(pk=user.pk)
        if row.is_active == active:
            return False
        if not active and is_operator(row):
            _keep_an_operator(row, "name")
        row.is_active = active
        row.save(update_fields=["is_active"])
        if not active:
            _end(SignIn.objects.filter(owner=row))
        write_audit(actor, "open-account" if active else "close-account", row.get_username())
    user.is_active = active
    return True


def set_password(user: User, password: str, actor: Actor) -> None:
    """Somebody else sets it: every session of the account ends.

    Raises: FieldError where it breaks the rules for passwords.
    """
    try:
        validate_password(password, user)
    except ValidationError as fault:
        raise _as_field_error(fault) from None
    user.set_password(password)
    user.save(update_fields=["password"])
    password_changed(user, None, actor)


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────
def note_sign_in(request: HttpRequest, *, anew: bool = False) -> None:
    """Keep where this session comes from, at most every five minutes. anew: it has just got another key."""
    session, now = request.session, timezone.now()
    seen = 0 if anew else session.get(SEEN_KEY, 0)
    if not request.user.is_authenticated or now.timestamp() - seen < SEEN_EVERY.total_seconds():
        return
    session[SEEN_KEY] = now.timestamp()
    if session.session_key is None:
        session.save()
    SignIn.objects.update_or_create(
        session_key=session.session_key,
        defaults={
            "owner_id": request.user.pk,
            "device": request.META.get("HTTP_USER_AGENT", "")[:300].replace("\x00", ""),
            "address": str(request.META.get("REMOTE_ADDR", ""))[:45],
            "last_seen_at": now,
        },
    )


def live_sign_ins(user: Any) -> QuerySet[SignIn]:
    """Sessions of the user that have not run out."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return SignIn.objects.filter(owner=user, session_key__in=alive)


def end_sign_in(sign_in: SignIn, actor: Actor) -> None:
    with transaction.atomic():
        _end([sign_in])
        write_audit(actor, "end-session", sign_in.owner.get_username(), device=sign_in.device, address=sign_in.address)


def end_other_sign_ins(user: Any, kept_key: str | None, actor: Actor) -> int:
    """End every session of the user but the one with that key; how many there were."""
    with transaction.atomic():
        others = SignIn.objects.filter(owner=user).exclude(session_key=kept_key or "")
        ended = others.count()
        _end(others)
        write_audit(actor, "end-sessions", user.get_username(), ended=ended)
    return ended


def _end(rows: Iterable[SignIn]) -> None:
    keys = [row.session_key for row in rows]
    Session.objects.filter(session_key__in=keys).delete()
    SignIn.objects.filter(session_key__in=keys).delete()


def password_changed(user: User, kept_key: str | None, actor: Actor) -> None:
    """After a change of password: every other session ends."""
    write_audit(actor, "change-password", user.get_username())
    end_other_sign_ins(user, kept_key, actor)
