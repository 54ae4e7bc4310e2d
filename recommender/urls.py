from django.urls import path

from recommender import search_views, views

urlpatterns = [
    path("ask/", search_views.ask, name="ask"),
    path("search/", search_views.search, name="search"),
    path("recommend/", views.recommend, name="recommend"),
    path("papers/<slug:slug>/similar", views.similar, name="similar"),
]
