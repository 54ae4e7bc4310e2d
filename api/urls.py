from django.urls import path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from api import views

router = SimpleRouter(trailing_slash=False)
router.register("papers", views.PaperViewSet, basename="api-paper")
router.register("techniques", views.TechniqueViewSet, basename="api-technique")
router.register("claims", views.ClaimViewSet, basename="api-claim")
router.register("implementations", views.ImplementationViewSet, basename="api-implementation")
router.register("devices", views.DeviceViewSet, basename="api-device")
router.register("runs", views.RunViewSet, basename="api-run")
router.register("review-items", views.ReviewItemViewSet, basename="api-review-item")
router.register("verdicts", views.VerdictViewSet, basename="api-verdict")

urlpatterns = [
    *router.urls,
    path("search", views.SearchView.as_view(), name="api-search"),
    path("recommendations", views.RecommendationView.as_view(), name="api-recommendations"),
    path("schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs", views.docs, name="api-docs"),
]
