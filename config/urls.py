"""Where everything is. Each app owns its own addresses."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from papers.views import health

urlpatterns = [
    path("healthz", health, name="health"),
    path("api/v1/", include("api.urls")),
    path("admin/", admin.site.urls),
    path("sign-in/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="sign-in"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
    path("", include("runners.urls")),
    path("", include("recommender.urls")),
    path("", include("papers.urls")),
]
handler400 = "papers.views.bad_request"
handler403 = "papers.views.permission_denied"
handler404 = "papers.views.not_found"
handler500 = "papers.views.server_error"
