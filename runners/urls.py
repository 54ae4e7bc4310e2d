from django.urls import path

from runners import views

urlpatterns = [
    path("runs/", views.runs, name="runs"),
    path("runs/<int:pk>/", views.run, name="run"),
    path("runs/<int:pk>/panel", views.run_panel, name="run-panel"),
    path("runs/<int:pk>/records", views.run_records, name="run-records"),
    path("runs/<int:pk>/cancel", views.cancel, name="cancel-run"),
    path("implementations/<slug:name>/verify", views.request_run, name="request-run"),
]
