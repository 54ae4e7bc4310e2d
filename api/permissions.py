"""Reading is public; writing needs a role that allows it, and where a token is sent, a token with the scope."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from api.models import NEEDED, ApiToken, Scope
from papers.roles import OPERATE, may, refusal


class ReadOrScopedWrite(BasePermission):
    """A view that writes names its scope in `write_scope`; one that computes without writing sets `open_post`.

    A view that writes and names no scope is for operators, without a token.
    """

    message = "Sign in, or send a token whose scopes allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS or getattr(view, "open_post", False):
            return True
        if not request.user or not request.user.is_authenticated:
            return False
        scope = getattr(view, "write_scope", None)
        if isinstance(request.auth, ApiToken) and (scope is None or scope not in request.auth.scopes):
            self.message = f"This token lacks the scope “{scope or 'operator'}”."
            return False
        needed = NEEDED[scope] if scope is not None else OPERATE
        if not may(request.user, needed):
            self.message = refusal(needed)
            return False
        return True


ReadOrEditorsWrite = ReadOrScopedWrite  # the scope `edit` of such a view asks for an editor


class AgentsOnly(BasePermission):
    """A token with the scope `device`: no session and no other token, whatever its owner may do."""

    message = "Only an agent may do this: send a token with the scope “device”."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, ApiToken) and request.auth.allows(Scope.DEVICE)
