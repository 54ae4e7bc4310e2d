from django.urls import path

from papers import review_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("papers/", views.browse, name="papers"),
    path("papers/<slug:slug>/", views.paper, name="paper"),
    path("techniques/", views.techniques, name="techniques"),
    path("techniques/<slug:slug>/", views.technique, name="technique"),
    path("review/", review_views.review, name="review"),
    path("review/<int:pk>/", review_views.answer, name="review-answer"),
    path("about/", views.about, name="about"),
]
