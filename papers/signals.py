"""What Django tells of people: sign-ins and failed ones are audited, and new accounts get a role."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_migrate, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from papers.roles import Role, new_account_role
from papers.services.accounts import give_role, make_roles, note_sign_in
from papers.services.common import write_audit


def connect(config: Any) -> None:
    post_migrate.connect(make_roles, sender=config, dispatch_uid="papers.roles")
    post_save.connect(_give_first_role, sender=get_user_model(), dispatch_uid="papers.first-role")


def _give_first_role(instance: Any, created: bool, raw: bool = False, **kwargs: Any) -> None:
    if not created or raw:
        return
    if instance.is_superuser or instance.is_staff:
        instance.groups.add(*_group(Role.OPERATOR))
    elif not instance.groups.exists():
        give_role(instance, new_account_role())


def _group(role: Role) -> list[Any]:
    from django.contrib.auth.models import Group

    return [Group.objects.get_or_create(name=role.value)[0]]


@receiver(user_logged_in)
def _signed_in(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    write_audit(user, "sign-in", user.get_username(), address=_address(request))
    if request is not None and hasattr(request, "session"):
        request.user = user
        note_sign_in(request, anew=True)


@receiver(user_logged_out)
def _signed_out(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    if user is not None:
        write_audit(user, "sign-out", user.get_username(), address=_address(request))


@receiver(user_login_failed)
def _sign_in_failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kw: Any) -> None:
    """The name is kept only where an account has it: people type passwords into the wrong field."""
    name = str(credentials.get(get_user_model().USERNAME_FIELD) or "").replace("\x00", "")
    known = bool(name) and get_user_model().objects.filter(username=name).exists()
    write_audit(None, "sign-in-failed", name if known else "(no such name)", address=_address(request))


def _address(request: HttpRequest | None) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))[:45] if request is not None else ""
