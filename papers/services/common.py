"""What every write shares: who acts, what changed, how a refusal reads, and the audit."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from papers.models import AuditEntry
from papers.roles import EDIT, may

Actor = AbstractBaseUser | AnonymousUser | None  # a person, a token's owner, or a command
Change = Literal["new", "updated", "unchanged"]


class FieldError(ValueError):
    """Bad input: which field, what was wrong, what would be right."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def may_edit(user: Any) -> bool:
    """Editors and operators, and those who were given the permission to review."""
    return may(user, EDIT)


def write_audit(actor: Actor, action: str, target: str, **detail: Any) -> None:
    """Note who did what; a token acts as its owner and is named in the detail, a command acts as nobody."""
    if token := getattr(actor, "acting_token", None):
        detail["token"] = token
    AuditEntry.objects.create(
        actor_id=getattr(actor, "pk", None),
        actor_name=actor.get_username() if actor is not None else "",
        action=action,
        target=target[:200],
        detail=detail,
    )


# ── checks of what people send ──────────────────────────────────────────────────────────────────────────────────────
def check_known(fields: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Raises: FieldError for the first field that cannot be set."""
    allowed = tuple(allowed)
    if unknown := [name for name in fields if name not in allowed]:
        raise FieldError(unknown[0], f"cannot be set; what can be: {', '.join(allowed)}")


def one_of(field: str, value: Any, words: Iterable[str]) -> str:
    words = tuple(words)
    if value not in words:
        raise FieldError(field, f"{str(value)[:60]!r} is not one of: {', '.join(word or '(blank)' for word in words)}")
    return str(value)


def text_of(field: str, value: Any, longest: int, *, blank: bool = True) -> str:
    """Text without surrounding space; None is blank."""
    if value is not None and not isinstance(value, str):
        raise FieldError(field, f"is a {type(value).__name__}; text is expected")
    text = (value or "").strip()
    if "\x00" in text:
        raise FieldError(field, "holds a NUL character")
    if not text and not blank:
        raise FieldError(field, "is blank")
    if len(text) > longest:
        raise FieldError(field, f"has {len(text)} characters; at most {longest} are allowed")
    return text


def number_of(field: str, value: Any) -> float | None:
    """A finite number, or None for nothing; text such as "2.5" is read."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FieldError(field, f"{str(value)[:40]!r} is not a number such as 2.5")
    return number


def words_of(field: str, value: Any, longest: int, most: int) -> list[str]:
    """A list of different non-blank texts."""
    if not isinstance(value, list | tuple):
        raise FieldError(field, f"is a {type(value).__name__}; a list of texts is expected")
    words = [text_of(field, word, longest, blank=False) for word in value]
    if len(words) > most:
        raise FieldError(field, f"has {len(words)} entries; at most {most} are allowed")
    return list(dict.fromkeys(words))
