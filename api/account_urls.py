from django.urls import path

from api import account_views as views

urlpatterns = [
    path("", views.account, name="account"),
    path("password/", views.ChangePassword.as_view(), name="password"),
    path("tokens", views.add_token, name="add-token"),
    path("tokens/<int:pk>/revoke", views.remove_token, name="revoke-token"),
    path("sessions/others/end", views.end_other_sessions, name="end-other-sessions"),
    path("sessions/<int:pk>/end", views.end_session, name="end-session"),
]
