"""`Authorization: Bearer sp_…`."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from api.models import ApiToken


class TokenAuthentication(BaseAuthentication):
    """Bearer tokens; `request.auth` is then the ApiToken, whose scopes the permission classes ask."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiToken] | None:
        parts = get_authorization_header(request).decode("latin-1").split()
        if not parts or parts[0].lower() != "bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Authorization: send one token, as in `Bearer sp_…`.")
        token = ApiToken.objects.valid(parts[1])
        if token is None:
            raise AuthenticationFailed("Authorization: this token is unknown, expired or revoked.")
        token.owner.acting_token = token.pk  # type: ignore[attr-defined]  # the audit names it
        return token.owner, token.touch()

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "api.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token made on the account page or with `manage.py create_token`.",
        }
