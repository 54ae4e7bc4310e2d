from django.urls import path

from papers import views

urlpatterns = [
    path("", views.home, name="home"),
    path("papers/", views.browse, name="papers"),
    path("papers/<slug:slug>/", views.paper, name="paper"),
    path("techniques/", views.techniques, name="techniques"),
    path("techniques/<slug:slug>/", views.technique, name="technique"),
    path("about/", views.about, name="about"),
]
