from django.urls import path, re_path

from papers import (
    audit_views,
    citation_views,
    component_views,
    coverage_views,
    detail_views,
    family_views,
    method_views,
    review_views,
    views,
)

urlpatterns = [
    path("", views.home, name="home"),
    path("papers/", views.browse, name="papers"),
    path("papers/<slug:slug>/", detail_views.paper, name="paper"),
    re_path(
        r"^papers/(?P<slug>[-\w]+)/citation\.(?P<form>bib|json|ris|txt)$", citation_views.citation, name="citation"
    ),
    path("techniques/", views.techniques, name="techniques"),
    path("techniques/<slug:slug>/", detail_views.technique, name="technique"),
    path("families/", family_views.index, name="families"),
    path("families/<slug:name>/", family_views.one, name="family"),
    path("coverage/", coverage_views.coverage, name="coverage"),
    path("review/", review_views.review, name="review"),
    path("review/<int:pk>/", review_views.answer, name="review-answer"),
    path("audit/", audit_views.audit, name="audit"),
    path("components/", component_views.components, name="components"),
    path("about/", method_views.about, name="about"),
]
