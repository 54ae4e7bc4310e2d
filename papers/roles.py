"""Who may do what: four roles, each with all that the one before it may do. Groups of Django carry them.

Nothing else decides: pages ask through `papers.guards.needs`, the API asks `may` for the scope of a view, forms and commands set a role through
`papers.services.set_role`.
"""

from typing import Any

from django.conf import settings
from django.db import models

REQUEST_RUNS = "papers.request_run"
EDIT = "papers.review"
INGEST = "papers.ingest"
OPERATE = "papers.operate"


class Role(models.TextChoices):
    READER = "reader", "Reader"
    REQUESTER = "requester", "Requester"
    EDITOR = "editor", "Editor"
    OPERATOR = "operator", "Operator"


PERMISSIONS: dict[Role, tuple[str, ...]] = {
    Role.READER: (),
    Role.REQUESTER: (REQUEST_RUNS,),
    Role.EDITOR: (REQUEST_RUNS, EDIT, INGEST),
    Role.OPERATOR: (REQUEST_RUNS, EDIT, INGEST, OPERATE),
}
MEANINGS = {
    Role.READER: "reads, and keeps an account",
    Role.REQUESTER: "may ask for runs and cancel their own",
    Role.EDITOR: "may also review, edit and bring in papers",
    Role.OPERATOR: "may do everything, the admin included",
}
_WHAT = {
    REQUEST_RUNS: ("ask for runs", Role.REQUESTER),
    EDIT: ("review and change records", Role.EDITOR),
    INGEST: ("bring in papers and results", Role.EDITOR),
    OPERATE: ("do this", Role.OPERATOR),
}


def is_operator(user: Any) -> bool:
    return bool(user is not None and user.is_active and (user.is_staff or user.is_superuser))


def may(user: Any, permission: str) -> bool:
    """Whether the user's role, or a permission given by hand, allows it; False for whoever is not signed in."""
    if user is None or not user.is_authenticated or not user.is_active:
        return False
    return is_operator(user) or (permission != OPERATE and bool(user.has_perm(permission)))


def refusal(permission: str) -> str:
    """What to tell a person who may not."""
    what, role = _WHAT[permission]
    return f"Your account may not {what}; that needs the role “{role.label}”. An operator can give it."


def role_of(user: Any) -> Role:
    """The highest role whose permissions the user has."""
    if is_operator(user):
        return Role.OPERATOR
    held = [role for role in (Role.EDITOR, Role.REQUESTER) if all(may(user, each) for each in PERMISSIONS[role])]
    return held[0] if held else Role.READER


def new_account_role() -> Role:
    return Role(settings.NEW_ACCOUNT_ROLE)
