from django.urls import path

from recommender import views

urlpatterns = [
    path("search/", views.search, name="search"),
    path("recommend/", views.recommend, name="recommend"),
    path("papers/<slug:slug>/similar", views.similar, name="similar"),
]
