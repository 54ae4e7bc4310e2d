from django.urls import path

from runners import compare_views, download_views, hardware_views, measured_views, run_compare_views, views

urlpatterns = [
    path("hardware/", hardware_views.index, name="hardware"),
    path("hardware/<slug:slug>/", hardware_views.one, name="device"),
    path("compare/", compare_views.compare, name="compare"),
    path("runs/", views.runs, name="runs"),
    path("runs/<int:pk>/", views.run, name="run"),
    path("runs/<int:pk>/panel", views.run_panel, name="run-panel"),
    path("runs/waiting", views.waiting, name="runs-waiting"),
    path("runs/compare/", run_compare_views.compare_two, name="run-compare"),
    path("runs/<int:pk>/records", download_views.run_records, name="run-records"),
    path("runs/<int:pk>/bundle", download_views.run_bundle, name="run-bundle"),
    path("runs/<int:pk>/cancel", views.cancel, name="cancel-run"),
    path("implementations/<slug:name>/measured", measured_views.show, name="measured"),
    path("implementations/<slug:name>/verify", views.request_run, name="request-run"),
]
