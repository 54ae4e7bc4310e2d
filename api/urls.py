from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from api import agent, changes, coverage, croissant, figures, ingesting, measured, overview, runs, views
from api.bundles.views import BundleView
from api.exports.views import ExportsView
from api.representations import huggingface
from api.representations import papers_with_code as pwc

router = SimpleRouter(trailing_slash=False)
router.register("papers", views.PaperViewSet, basename="api-paper")
router.register("techniques", views.TechniqueViewSet, basename="api-technique")
router.register("claims", views.ClaimViewSet, basename="api-claim")
router.register("implementations", views.ImplementationViewSet, basename="api-implementation")
router.register("devices", views.DeviceViewSet, basename="api-device")
router.register("runs", runs.RunViewSet, basename="api-run")
router.register("ingest", ingesting.IngestViewSet, basename="api-ingest")
router.register("review-items", views.ReviewItemViewSet, basename="api-review-item")
router.register("verdicts", views.VerdictViewSet, basename="api-verdict")

urlpatterns = [
    *router.urls,
    path("search", views.SearchView.as_view(), name="api-search"),
    path("overview", overview.OverviewView.as_view(), name="api-overview"),
    path("vocabulary", overview.VocabularyView.as_view(), name="api-vocabulary"),
    path("families", overview.FamiliesView.as_view(), name="api-families"),
    path("facets", overview.FacetsView.as_view(), name="api-facets"),
    path("compare", overview.CompareView.as_view(), name="api-compare"),
    path("hardware", measured.HardwareListView.as_view(), name="api-hardware-list"),
    path("hardware/<slug:slug>", measured.HardwareView.as_view(), name="api-hardware"),
    path("coverage", coverage.CoverageView.as_view(), name="api-coverage"),
    path(
        "figures/claims-against-measurements",
        figures.ClaimsAgainstMeasurementsView.as_view(),
        name="api-claims-against-measurements",
    ),
    path("figures/outcomes-by-family", figures.OutcomesByFamilyView.as_view(), name="api-outcomes-by-family"),
    path("recommendations", views.RecommendationView.as_view(), name="api-recommendations"),
    path("runs/<int:pk>/bundle.zip", BundleView.as_view(), name="api-run-bundle"),
    path("agent/devices", agent.DevicesView.as_view(), name="api-agent-devices"),
    path("agent/lease", agent.LeaseView.as_view(), name="api-agent-lease"),
    path("agent/runs/<int:pk>/heartbeat", agent.HeartbeatView.as_view(), name="api-agent-heartbeat"),
    path("agent/runs/<int:pk>/result", agent.ResultView.as_view(), name="api-agent-result"),
    path("agent/runs/<int:pk>/release", agent.ReleaseView.as_view(), name="api-agent-release"),
    path("exports", ExportsView.as_view(), name="api-exports"),
    path("changes", changes.ChangesView.as_view(), name="api-changes"),
    path("croissant.json", croissant.CroissantView.as_view(), name="api-croissant"),
    path("compat/huggingface/papers/<path:arxiv_id>", huggingface.HubPaperView.as_view(), name="api-hub-paper"),
    path("compat/huggingface/daily_papers", huggingface.HubDailyView.as_view(), name="api-hub-daily"),
    path("compat/huggingface/api/", include("api.representations.hub_urls")),
    path("compat/papers-with-code/links", pwc.PwcLinksView.as_view(), name="api-pwc-links"),
    path("compat/papers-with-code/methods", pwc.PwcMethodsView.as_view(), name="api-pwc-methods"),
    path("compat/papers-with-code/papers", pwc.PwcPapersView.as_view(), name="api-pwc-papers"),
    path("compat/papers-with-code/evaluation-tables", pwc.PwcTablesView.as_view(), name="api-pwc-tables"),
    path("schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs", views.docs, name="api-docs"),
]
