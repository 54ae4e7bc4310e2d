"""Signing in by OpenID Connect against a provider that really answers over HTTP, honest and not."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client
from django.urls import clear_url_caches, include, path

from config import urls
from papers.models import Identity
from papers.roles import Role, role_of
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
CLIENT = "speedproof"
CALLBACK = "/oidc/callback/"
urlpatterns = [*urls.urlpatterns, path("oidc/", include("mozilla_django_oidc.urls"))]


class Provider:
    """Says who signs in; a test changes what it says."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key: Any = KEY
        self.algorithm = "RS256"
        self.asked: dict[str, list[str]] = {}
        self.status = 200
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
                self._answer({"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.asked = parse_qs(body)
                self._answer({"access_token": "x", "id_token": provider.token()}, provider.status)

            def _answer(self, said: dict[str, Any], status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *given: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self) -> str:
        key = None if self.algorithm == "none" else "shared" * 8 if self.algorithm == "HS256" else self.key
        return jwt.encode(self.claims, key, algorithm=self.algorithm, headers={"kid": "1"})


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    found = Provider()
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "papers.oidc.Provider"]
    for name, value in {
        "OIDC_ISSUER": found.address, "OIDC_RP_CLIENT_ID": CLIENT, "OIDC_RP_CLIENT_SECRET": "kept", "OIDC_RP_SIGN_ALGO": "RS256",
        "OIDC_OP_AUTHORIZATION_ENDPOINT": f"{found.address}/authorize", "OIDC_OP_TOKEN_ENDPOINT": f"{found.address}/token",
        "OIDC_OP_JWKS_ENDPOINT": f"{found.address}/keys", "OIDC_OP_USER_ENDPOINT": "", "OIDC_RP_SCOPES": "openid email profile",
        "OIDC_USE_PKCE": True, "OIDC_TIMEOUT": 5, "OIDC_DOMAINS": ["example.org"], "OIDC_ROLE_CLAIM": "groups",
        "OIDC_ROLES": {"ml-team": "editor", "ml-operators": "operator"}, "LOGIN_REDIRECT_URL_FAILURE": "/sign-in/",
    }.items():  # fmt: skip
        setattr(settings, name, value)
    yield found
    found.server.shutdown()
    found.server.server_close()
    clear_url_caches()


def sign_in(provider: Provider, client: Client | None = None, **changed: Any) -> Any:
    """From the button to the answer of the callback. A claim that is None is left out."""
    client = client or Client(raise_request_exception=False)
    sent = parse_qs(urlsplit(client.get("/oidc/authenticate/")["Location"]).query)
    now = int(time.time())
    claims = {
        "iss": provider.address, "aud": CLIENT, "sub": "s-1", "iat": now, "exp": now + 300, "nonce": sent["nonce"][0],
        "email": "mira@example.org", "email_verified": True, "preferred_username": "mira", "groups": ["ml-team"],
    }  # fmt: skip
    provider.claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    return client.get(CALLBACK, {"code": "c", "state": sent["state"][0]})


def is_in(answer: Any) -> bool:
    return "_auth_user_id" in answer.client.session


def test_a_person_of_the_organisation_gets_an_account_and_the_role_of_the_claim(provider: Provider) -> None:
    assert is_in(sign_in(provider))
    user = User.objects.get()
    assert (user.username, role_of(user), user.has_usable_password()) == ("mira", Role.EDITOR, False)
    assert provider.asked["code_verifier"]
    assert is_in(sign_in(provider, groups=[]))
    assert (User.objects.count(), role_of(User.objects.get())) == (1, Role.READER)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"nonce": "another"}, id="nonce"),
        pytest.param({"nonce": None}, id="no-nonce"),
        pytest.param({"aud": "another-client"}, id="audience"),
        pytest.param({"aud": None}, id="no-audience"),
        pytest.param({"iss": "https://evil.example"}, id="issuer"),
        pytest.param({"exp": 1_000_000_000}, id="expired"),
        pytest.param({"exp": None}, id="no-end"),
        pytest.param({"sub": None}, id="no-subject"),
        pytest.param({"email": "mira@evil.example"}, id="domain"),
        pytest.param({"email": "mira@example.org@evil.example"}, id="two-domains"),
        pytest.param({"email_verified": False}, id="unverified"),
        pytest.param({"email_verified": "true"}, id="verified-as-text"),
    ],
)
def test_a_token_that_is_not_right_signs_nobody_in(provider: Provider, changed: dict[str, Any]) -> None:
    answer = sign_in(provider, **changed)
    assert (answer.status_code, is_in(answer)) == (302, False)
    assert answer["Location"].startswith("/sign-in/")
    assert not User.objects.exists()


@pytest.mark.parametrize("how", ["none", "HS256", "another-key", "error"])
def test_a_token_that_the_provider_did_not_sign_is_refused(provider: Provider, how: str) -> None:
    if how == "another-key":
        provider.key = OTHER_KEY
    elif how == "error":
        provider.status = 500
    else:
        provider.algorithm = how
    assert not is_in(sign_in(provider))
    assert not User.objects.exists()


def test_an_answer_that_nobody_asked_for_is_refused(provider: Provider) -> None:
    client = Client(raise_request_exception=False)
    sign_in(provider)
    answer = client.get(CALLBACK, {"code": "c", "state": "made-up"})
    assert answer.status_code in (302, 400)
    assert not is_in(answer)


def test_a_name_or_an_address_that_is_taken_is_not_taken_over(provider: Provider) -> None:
    local = make_user("mira", email="mira@example.org", role="operator")
    answer = sign_in(provider)
    assert answer.client.session["_auth_user_id"] != str(local.pk)
    assert set(User.objects.values_list("username", flat=True)) == {"mira", "mira-2"}
    assert Identity.objects.get().owner.username == "mira-2"
    local.refresh_from_db()
    assert local.check_password(PASSWORD)


def test_a_closed_account_stays_closed(provider: Provider) -> None:
    sign_in(provider)
    User.objects.update(is_active=False)
    assert not is_in(sign_in(provider))


def test_without_a_provider_nothing_of_it_is_there(client: Client) -> None:
    assert client.get("/oidc/authenticate/").status_code == 404
    assert "organisation" not in client.get("/sign-in/").content.decode().lower().replace("your organisation;", "")
