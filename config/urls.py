"""Where everything is. Each app owns its own addresses."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.decorators.http import require_http_methods

from config.metrics import metrics
from config.status_views import health, ready, status
from papers.addresses import reads

# Django's form views take PUT for POST, and answer whoever is signed in whatever the method.
sign_in = reads("next")(
    require_http_methods(["GET", "HEAD", "POST"])(auth_views.LoginView.as_view(redirect_authenticated_user=True))
)
urlpatterns = [
    path("healthz", health, name="health"),
    path("readyz", ready, name="ready"),
    path("metrics", metrics, name="metrics"),
    path("status/", status, name="status"),
    path("api/v1/", include("api.urls")),
    path("admin/", admin.site.urls),
    path("account/", include("api.account_urls")),
    path("sign-in/", sign_in, name="sign-in"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
    path("", include("api.data_urls")),
    path("", include("runners.urls")),
    path("", include("ingest.urls")),
    path("", include("recommender.urls")),
    path("", include("papers.urls")),
]
if settings.OIDC_ISSUER:
    urlpatterns.append(path("oidc/", include("mozilla_django_oidc.urls")))
handler400 = "papers.views.bad_request"
handler403 = "papers.views.permission_denied"
handler404 = "papers.views.not_found"
handler500 = "papers.views.server_error"
