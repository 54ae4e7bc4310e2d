"""Reading is public; writing needs a signed-in user, or a token with the scope that the view names."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from api.models import ApiToken
from papers.services import may_edit


class ReadOrScopedWrite(BasePermission):
    """A view that writes names its scope in `write_scope`; one that computes without writing sets `open_post`."""

    message = "Sign in, or send a token whose scopes allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS or getattr(view, "open_post", False):
            return True
        if not request.user or not request.user.is_authenticated:
            return False
        scope = getattr(view, "write_scope", None)
        if isinstance(request.auth, ApiToken) and (scope is None or not request.auth.allows(scope)):
            self.message = f"This token lacks the scope {scope!r}."
            return False
        return True


class ReadOrEditorsWrite(ReadOrScopedWrite):
    """As above, and whoever writes has to be an editor: an operator, or one with the permission to review."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        if request.method in SAFE_METHODS or may_edit(request.user):
            return True
        self.message = "Only editors may change records: operators, and those with the permission to review."
        return False
