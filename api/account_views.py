"""A person's own page: tokens, sessions, password, runs and quota."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from api.models import ApiToken
from api.services import in_days, make_token, revoke_all_tokens, revoke_token, scopes_for
from papers.guards import signed_in
from papers.models import Run, SignIn, heavy_fields
from papers.roles import MEANINGS, REQUEST_RUNS, may, role_of
from papers.services import FieldError, end_other_sign_ins, end_sign_in, live_sign_ins, note_sign_in, password_changed
from runners.quotas import quotas_of

LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}
RUNS_SHOWN = 10
OLD_TOKENS_SHOWN = 10


def _page(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    user = cast(User, request.user)
    tokens = ApiToken.objects.filter(owner_id=user.pk)
    in_use = list(ApiToken.objects.alive().filter(owner_id=user.pk))
    role = role_of(user)
    context = {
        "role": role,
        "role_means": MEANINGS[role],
        "tokens": in_use,
        "old_tokens": tokens.exclude(pk__in=[token.pk for token in in_use])[:OLD_TOKENS_SHOWN],
        "scopes": [(scope.value, scope.label) for scope in scopes_for(user)],
        "lifetimes": LIFETIMES,
        "given": QueryDict(),
        "sign_ins": live_sign_ins(user),
        "this_session": request.session.session_key,
        "runs": Run.objects.for_lists().filter(requester_id=user.pk).defer(*heavy_fields())[:RUNS_SHOWN],
        "quotas": quotas_of(user) if may(user, REQUEST_RUNS) else [],
        "has_password": user.has_usable_password(),
        **more,
    }
    return render(request, "account/account.html", context, status=status)


@never_cache
@require_safe
@signed_in("account")
def account(request: HttpRequest) -> HttpResponse:
    return _page(request)


@never_cache
@require_POST
@signed_in("account")
def add_token(request: HttpRequest) -> HttpResponse:
    """Shows the token in the answer itself: it is stored nowhere, not even for the time of a redirect."""
    try:
        days = request.POST.get("days", "")
        if days not in LIFETIMES:
            raise FieldError("expires_at", f"is not one of: {', '.join(LIFETIMES)} days")
        row, token = make_token(
            request.user,
            request.POST.get("label", ""),
            request.POST.getlist("scopes"),
            in_days(int(days)),
            request.user,
        )
    except FieldError as fault:
        return _page(request, status=400, errors={fault.field: fault.message}, given=request.POST)
    return _page(request, made=row, token=token)


@require_POST
@signed_in("account")
def remove_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, owner_id=request.user.pk)
    if revoke_token(token, request.user):
        messages.success(request, f"Revoked: {token.label}. Nothing can be done with it any more.")
    return redirect("account")


@require_POST
@signed_in("account")
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(SignIn, pk=pk, owner_id=request.user.pk)
    end_sign_in(row, request.user)
    messages.success(request, "That session has ended.")
    return redirect("account")


@require_POST
@signed_in("account")
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    ended = end_other_sign_ins(request.user, request.session.session_key, request.user)
    messages.success(request, f"{ended} other session{'' if ended == 1 else 's'} ended.")
    return redirect("account")


class NewPasswordForm(PasswordChangeForm):
    revoke_tokens = forms.BooleanField(required=False)


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
@method_decorator(signed_in("password"), name="dispatch")  # type: ignore[arg-type]
class ChangePassword(PasswordChangeView):
    """Afterwards only this session is left, and no token where that was asked for."""

    http_method_names = ["get", "head", "post"]
    form_class = NewPasswordForm
    template_name = "account/password.html"
    success_url = reverse_lazy("account")

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)  # gives this session a new key
        note_sign_in(self.request, anew=True)
        password_changed(form.user, self.request.session.session_key, form.user)
        revoked = revoke_all_tokens(form.user, form.user) if form.cleaned_data["revoke_tokens"] else 0
        tokens = f" and {revoked} token{'' if revoked == 1 else 's'} revoked" if revoked else ""
        messages.success(self.request, f"Your password is changed. Every other session has ended{tokens}.")
        return answer
