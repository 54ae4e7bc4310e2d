"""Every setting, each read once from the environment; without any, the embedded defaults run on one machine."""

import os
import secrets
from datetime import time
from pathlib import Path

import django_stubs_ext
import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.logs import logging_config

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")
# A variable that is set to nothing, as compose files do, is not set.
environ.Env.ENVIRON = {name: value for name, value in os.environ.items() if value}

DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()


def kept_secret(path: Path) -> str:
    """The secret of this installation: made on the first start, readable by its owner alone, kept afterwards."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and linked into place: of two processes that start at once, one wins and both read the same.
        aside = path.with_suffix(f".{os.getpid()}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(50))
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_text().strip()


def time_of_day(name: str, text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={text!r} is no time of day; write it like 22:00") from None


def whole_number(name: str, default: int) -> int:
    """Raises: ImproperlyConfigured that names the variable."""
    try:
        return int(env.int(name, default=default))
    except ValueError:
        raise ImproperlyConfigured(f"{name}={env.str(name)!r} is not a whole number such as {default}.") from None


def one_of(name: str, default: str, words: tuple[str, ...]) -> str:
    """Raises: ImproperlyConfigured that names the variable."""
    value = str(env.str(name, default=default)).strip()
    if value not in words:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of: {', '.join(words)}.")
    return value


def numbers_by_name(name: str, default: dict[str, int], words: tuple[str, ...]) -> dict[str, int]:
    """Raises: ImproperlyConfigured that names the variable."""
    found = dict(default)
    for part in env.list(name, default=[]):
        word, _, number = part.partition("=")
        if word.strip() not in words or not number.strip().isdigit():
            raise ImproperlyConfigured(f"{name}: {part!r} is not like cpu=20; names are {', '.join(words)}.")
        found[word.strip()] = int(number)
    return found


SECRET_KEY = env.str("SECRET_KEY", default="") or kept_secret(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.sitemaps",
    "axes",
    "corsheaders",
    "csp",
    "django_filters",
    "django_structlog",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "papers",
    "ingest",
    "recommender",
    "runners",
    "api",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "api.middleware.ApiProtocol",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "papers.middleware.PackPages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "papers.middleware.KeepSignIns",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "papers.middleware.KeepPagesText",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'speedproof.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Writers queue for the lock at BEGIN, so that a transaction that first reads cannot fail half-way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728; PRAGMA cache_size=-16000;",
    }
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INDEX_DIR = Path(env.str("INDEX_DIR", default=str(DATA_DIR / "index")))
ENCODER = env.str("ENCODER", default="packaged-minilm")
RESULTS_DIR = BASE_DIR / "runners" / "results"

# ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────────
BROKER_URL = env.str("BROKER_URL", default="filesystem://localhost")
BROKER_DIR = DATA_DIR / "broker"
DEVICE = env.str("DEVICE", default="cpu")  # what the worker started with these settings measures on: cpu or cuda
GPU_QUEUES = env.list("GPU_QUEUES", default=["runs-cuda"])
RUN_LEASE_S = env.int("RUN_LEASE_S", default=30)
RUN_WALL_LIMIT_S = env.int("RUN_WALL_LIMIT_S", default=900)
RUN_STOP_S = env.float("RUN_STOP_S", default=15.0)  # what a worker that has to stop may still work on its run
AGENT_RESULT_MAX_BYTES = whole_number("AGENT_RESULT_MAX_MIB", 16) * 2**20  # of one run that an agent hands in
REGRESSION_WATCH = env.bool("REGRESSION_WATCH", default=False)  # runs again what ran with other versions
RUN_QUOTA_PER_USER = whole_number("RUN_QUOTA_PER_USER", 20)  # runs a user may have waiting or running at once
RUN_QUOTA_OPEN = numbers_by_name("RUN_QUOTA_OPEN", {"cuda": 10}, ("cpu", "cuda"))  # the same by kind of device
RUN_QUOTA_DAY = numbers_by_name("RUN_QUOTA_DAY", {"cpu": 200, "cuda": 50}, ("cpu", "cuda"))  # asked for within a day

# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────────
READ_MEANING = env.bool("READ_MEANING", default=True)  # extraction also asks the encoder that comes with the project
REVIEW_BELOW = env.float("REVIEW_BELOW", default=0.6)  # claims that extraction is less sure of go to a person

# ── taking the data away ────────────────────────────────────────────────────────────────────────────────────────────
EXPORT_DIR = Path(env.str("EXPORT_DIR", default=str(DATA_DIR / "exports")))
DATA_EXPORT = env.bool("DATA_EXPORT", default=False)  # writes an export once a day
DATA_EXPORT_AT = time_of_day("DATA_EXPORT_AT", env.str("DATA_EXPORT_AT", default="03:00"))  # UTC
EXPORTS_KEPT = whole_number("EXPORTS_KEPT", 7)
DATA_LICENSE = env.str("DATA_LICENSE", default="CC-BY-4.0")  # SPDX id; what others may do with our records
CHANGES_KEPT_DAYS = whole_number("CHANGES_KEPT_DAYS", 90)

# ── fetching ────────────────────────────────────────────────────────────────────────────────────────────────────────
# Nothing is fetched from any other host; "name:port" where the port is not the usual one.
FETCH_HOSTS = env.list(
    "FETCH_HOSTS",
    default=[
        "huggingface.co",
        "cdn-lfs.huggingface.co",
        "cas-bridge.xethub.hf.co",
        "arxiv.org",
        "export.arxiv.org",
        "oaipmh.arxiv.org",
    ],
)
FETCH_ALLOW_PRIVATE = env.bool(
    "FETCH_ALLOW_PRIVATE", default=False
)  # also from the own network: tests, mirrors of a firm
FETCH_CONTACT = env.str("FETCH_CONTACT", default="")  # hosts see it in the User-Agent
# Seconds between two requests. arXiv allows one in three; a tenth more, since a request may be held up on its way.
FETCH_INTERVALS = {"arxiv.org": 3.1, "huggingface.co": 1.0}
FETCH_INTERVAL_S = 1.0  # to any other host
FETCH_WALL_S = env.float("FETCH_WALL_S", default=180.0)
FETCH_MAX_BYTES = env.int("FETCH_MAX_MIB", default=64) * 2**20
FETCH_DUMP_WALL_S = env.float("FETCH_DUMP_WALL_S", default=6 * 3600.0)
FETCH_DUMP_MAX_BYTES = env.int("FETCH_DUMP_MAX_MIB", default=20 * 1024) * 2**20
HUGGINGFACE_URL = env.str("HUGGINGFACE_URL", default="https://huggingface.co").rstrip("/")
ARXIV_API_URL = env.str("ARXIV_API_URL", default="https://export.arxiv.org/api/query")
ARXIV_OAI_URL = env.str("ARXIV_OAI_URL", default="https://oaipmh.arxiv.org/oai")
DAILY_PAPERS = env.bool("DAILY_PAPERS", default=False)
DAILY_PAPERS_AT = time_of_day("DAILY_PAPERS_AT", env.str("DAILY_PAPERS_AT", default="22:00"))  # UTC

# ── what people hand in ─────────────────────────────────────────────────────────────────────────────────────────────
INGEST_UPLOAD_MAX_BYTES = whole_number("INGEST_UPLOAD_MAX_MIB", 4) * 2**20
INGEST_MAX_ENTRIES = whole_number("INGEST_MAX_ENTRIES", 500)  # of one file, pasted page or target
INGEST_KEEP_HOURS = whole_number("INGEST_KEEP_HOURS", 24)  # until what nobody confirmed is thrown away
INGEST_OPEN_MAX = whole_number("INGEST_OPEN_MAX", 10)  # that one person may have waiting

# ── the endpoint ────────────────────────────────────────────────────────────────────────────────────────────────────
ENDPOINT_URL = env.str("ENDPOINT_URL", default="").strip()  # base address of an OpenAI-compatible API; empty: off
ENDPOINT_MODEL = env.str("ENDPOINT_MODEL", default="").strip()
ENDPOINT_API_KEY = env.str("ENDPOINT_API_KEY", default="").strip()
ENDPOINT_TIMEOUT_S = whole_number("ENDPOINT_TIMEOUT_S", 60)
ENDPOINT_CONCURRENCY = whole_number("ENDPOINT_CONCURRENCY", 2)
ENDPOINT_MAX_TOKENS = whole_number("ENDPOINT_MAX_TOKENS", 4096)
ENDPOINT_DAILY_LIMIT = whole_number("ENDPOINT_DAILY_LIMIT", 1000)  # requests of one day in UTC, retries included
ENDPOINT_RESPONSE_FORMAT = env.str("ENDPOINT_RESPONSE_FORMAT", default="json_schema")

# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "papers.finders.BundleFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
PAGE_SIZE = 25

# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────
NEW_ACCOUNT_ROLE = one_of("NEW_ACCOUNT_ROLE", "requester", ("reader", "requester", "editor"))
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
AXES_VERBOSE = False

# Another provider of accounts; without OIDC_ISSUER none of it is imported.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="").strip()
if OIDC_ISSUER:
    INSTALLED_APPS.append("mozilla_django_oidc")
    AUTHENTICATION_BACKENDS.append("papers.oidc.Provider")
    OIDC_RP_CLIENT_ID = env.str("OIDC_CLIENT_ID")
    OIDC_RP_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET")
    OIDC_OP_AUTHORIZATION_ENDPOINT = env.str("OIDC_AUTHORIZATION_URL")
    OIDC_OP_TOKEN_ENDPOINT = env.str("OIDC_TOKEN_URL")
    OIDC_OP_JWKS_ENDPOINT = env.str("OIDC_JWKS_URL")
    OIDC_OP_USER_ENDPOINT = ""
    OIDC_RP_SIGN_ALGO, OIDC_RP_SCOPES, OIDC_USE_PKCE, OIDC_TIMEOUT = "RS256", "openid email profile", True, 10
    OIDC_DOMAINS = [domain.strip().lower() for domain in env.list("OIDC_DOMAINS", default=[])]
    OIDC_ROLE_CLAIM = env.str("OIDC_ROLE_CLAIM", default="groups")
    OIDC_ROLES = dict(part.split("=", 1) for part in env.list("OIDC_ROLES", default=[]))
    if unknown := set(OIDC_ROLES.values()) - {"reader", "requester", "editor", "operator"}:
        raise ImproperlyConfigured(
            f"OIDC_ROLES: {', '.join(sorted(unknown))} is no role; write it like ml-team=editor."
        )
    LOGIN_REDIRECT_URL_FAILURE = "/sign-in/"

# ── safety ──────────────────────────────────────────────────────────────────────────────────────────────────────────
PROXY_COUNT = whole_number("PROXY_COUNT", 0)  # proxies in front whose X-Forwarded-For is believed
SECURE_TLS = env.bool("SECURE_TLS", default=False)  # true behind a proxy that ends TLS
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_TLS
if SECURE_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

# ── API ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "api.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["api.permissions.ReadOrScopedWrite"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "api.pagination.Pages",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "api.schema.ApiSchema",
    "DEFAULT_THROTTLE_RATES": {
        "reading": env.str("API_READ_RATE", default="600/min"),
        "writing": env.str("API_WRITE_RATE", default="60/min"),
    },
    "DEFAULT_THROTTLE_CLASSES": ["api.throttles.ByMethodThrottle"],
    # Without it, whoever invents an X-Forwarded-For counts as somebody else at each request.
    "NUM_PROXIES": PROXY_COUNT,
    "EXCEPTION_HANDLER": "api.errors.problem_response",
}
# Any site may read, with a token where it has one; cookies are never sent along, and no other site may write.
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS"]
CORS_ALLOW_HEADERS = ["accept", "authorization", "if-none-match", "last-event-id"]
CORS_EXPOSE_HEADERS = ["ETag", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"]
CORS_PREFLIGHT_MAX_AGE = 3600
# An open stream of events holds a thread; those of WEB_THREADS that are left answer everything else.
EVENT_STREAMS = whole_number("EVENT_STREAMS", 2)  # in one process
EVENT_STREAMS_PER_CLIENT = whole_number("EVENT_STREAMS_PER_CLIENT", 1)  # in one process
EVENT_STREAM_S = whole_number("EVENT_STREAM_S", 60)  # then the client connects anew, and others have their turn
SPECTACULAR_SETTINGS = {
    "TITLE": "Speedproof",
    "DESCRIPTION": "ML-efficiency techniques, what their papers claim, and what was measured.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "api.schema.complete"],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "RunStateEnum": "papers.models.run.RunState.choices",
        "OutcomeEnum": "papers.models.run.Outcome.choices",
        "DeviceKindEnum": "papers.models.implementation.DeviceKind.choices",
        "PhaseEnum": "papers.models.claim.Phase.choices",
    },
    "DISABLE_ERRORS_AND_WARNINGS": False,
}

# ── watching it ─────────────────────────────────────────────────────────────────────────────────────────────────────
METRICS_TOKEN = env.str("METRICS_TOKEN", default="").strip()  # without one, metrics are for this machine and operators
try:
    LOGGING = logging_config(env.str("LOG_FORMAT", default="line"), env.str("LOG_LEVEL", default="INFO"))
except ValueError as fault:
    raise ImproperlyConfigured(str(fault)) from None
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_USER_ID_FIELD = None
