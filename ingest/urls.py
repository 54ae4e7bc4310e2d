from django.urls import path

from ingest import views

urlpatterns = [
    path("ingest/", views.index, name="ingest"),
    path("ingest/<int:pk>/", views.one, name="submission"),
    path("ingest/<int:pk>/panel", views.panel, name="submission-panel"),
    path("ingest/<int:pk>/confirm", views.confirm, name="submission-confirm"),
    path("ingest/<int:pk>/discard", views.discard, name="submission-discard"),
]
