"""Signing in by OpenID Connect. Imported only where the settings name a provider.

The library checks the signature and the nonce; here also who issued the token, for whom, and until when it is good, and that
an identity never becomes an account that somebody made here.
"""

import logging
from typing import Any

import jwt
import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from papers.models import Identity
from papers.roles import Role
from papers.services import FieldError, add_person, set_role

logger = logging.getLogger(__name__)
REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
LEEWAY_S = 30
NAMES_TRIED = 100


class Provider(OIDCAuthenticationBackend):  # type: ignore[misc]
    """Claims are taken from the signed token alone; the provider is asked for nothing else."""

    def authenticate(self, request: Any, **kwargs: Any) -> User | None:
        try:
            return super().authenticate(request, **kwargs)  # type: ignore[no-any-return]
        except (SuspiciousOperation, jwt.PyJWTError, requests.RequestException, KeyError, ValueError) as fault:
            logger.warning("sign-in by OpenID Connect refused: %s: %s", type(fault).__name__, str(fault)[:200])
            return None

    def _verify_jws(self, payload: Any, key: Any) -> dict[str, Any]:
        if jwt.get_unverified_header(payload).get("alg") != self.OIDC_RP_SIGN_ALGO:
            raise SuspiciousOperation("another algorithm than the one that was agreed")
        return jwt.decode(
            payload,
            key,
            algorithms=[self.OIDC_RP_SIGN_ALGO],
            audience=self.OIDC_RP_CLIENT_ID,
            issuer=settings.OIDC_ISSUER,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
        )

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Where domains are named, the provider has to vouch for an address of mail in one of them."""
        if not settings.OIDC_DOMAINS:
            return True
        domain = str(claims.get("email", "")).rpartition("@")[2].lower()
        return claims.get("email_verified") is True and domain in settings.OIDC_DOMAINS

    def filter_users_by_claims(self, claims: dict[str, Any]) -> Any:
        return User.objects.filter(identities__issuer=claims["iss"], identities__subject=claims["sub"])

    def create_user(self, claims: dict[str, Any]) -> User:
        """A new account. Where its name is taken already, another one: a name proves nothing."""
        wanted = str(claims.get("preferred_username") or claims.get("email", "").partition("@")[0] or "person")
        wanted = "".join(c for c in wanted if c.isalnum() or c in "@.+-_")[:120] or "person"
        role = role_of_claims(claims)
        for number in range(1, NAMES_TRIED):
            name = wanted if number == 1 else f"{wanted}-{number}"
            if User.objects.filter(username__iexact=name).exists():
                continue
            with transaction.atomic():
                user = add_person(name, role.value if role else "", None, email=str(claims.get("email", ""))[:254])
                Identity.objects.create(owner=user, issuer=claims["iss"], subject=claims["sub"])
            return user
        raise SuspiciousOperation("no name is free for this person")

    def update_user(self, user: User, claims: dict[str, Any]) -> User:
        if role := role_of_claims(claims):
            try:
                set_role(user, role.value, None)
            except FieldError as fault:  # the only operator stays one
                logger.warning("the role of %s was left: %s", user.get_username(), fault)
        return user


def role_of_claims(claims: dict[str, Any]) -> Role | None:
    """The highest role that the mapping gives; a reader where none of its words is there; None without a mapping."""
    if not settings.OIDC_ROLES:
        return None
    said = claims.get(settings.OIDC_ROLE_CLAIM)
    words = said if isinstance(said, list) else [said]
    given = {settings.OIDC_ROLES[word] for word in words if isinstance(word, str) and word in settings.OIDC_ROLES}
    return next((role for role in reversed(Role) if role.value in given), Role.READER)
