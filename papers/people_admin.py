"""Accounts in the admin: a role instead of groups and flags, and every change through the services."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from papers.roles import Role, role_of
from papers.services import FieldError, password_changed, set_active, set_role, write_audit

admin.site.unregister(Group)
admin.site.unregister(User)


class PersonForm(UserChangeForm):  # type: ignore[type-arg]
    role = forms.ChoiceField(choices=Role.choices)
    may_sign_in = forms.BooleanField(required=False, label="Account is open")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].initial = role_of(self.instance).value
        self.fields["may_sign_in"].initial = self.instance.is_active


class NewPersonForm(UserCreationForm):  # type: ignore[type-arg]
    role = forms.ChoiceField(choices=Role.choices, initial=Role.READER)


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    form, add_form = PersonForm, NewPersonForm
    list_display = ("username", "email", "role", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("role", "may_sign_in")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("username", "password1", "password2", "role")}),)

    @admin.display(description="role")
    def role(self, person: User) -> str:
        return role_of(person).label

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Accounts are closed, not removed: runs and decisions name them."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            write_audit(request.user, "add-person", obj.get_username(), role=form.cleaned_data["role"])
        try:
            if "role" in form.cleaned_data:
                set_role(obj, form.cleaned_data["role"], request.user)
            if "may_sign_in" in form.cleaned_data:
                set_active(obj, form.cleaned_data["may_sign_in"], request.user)
        except FieldError as fault:
            self.message_user(request, f"{str(fault).capitalize()}.", messages.ERROR)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups are the role's; nothing else is related."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if "password" in str(message).lower() and isinstance(obj, User):
            kept = request.session.session_key if obj.pk == request.user.pk else None
            password_changed(obj, kept, request.user)
        return super().log_change(request, obj, message)
