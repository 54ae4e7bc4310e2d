"""Parameters of an address: which there are, what they may hold, and which fields are wanted. Bad ones are refused."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from django.forms import SelectMultiple
from rest_framework import serializers, status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from api.errors import Problem

FIELDS = "fields"
Tree = dict[str, "Tree"]


def whole_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A query parameter as a number in range. Raises: Problem that names it."""
    given = request.query_params.get(name, str(default))
    if not given.isascii() or not given.isdigit() or not low <= int(given[:9]) <= high or len(given) > 9:
        raise Problem(status.HTTP_400_BAD_REQUEST, f"{given[:40]!r} is not a whole number from {low} to {high}.", name)
    return int(given)


def bounded(low: int, high: int) -> dict[str, Any]:
    """For the schema: what `whole_number` takes."""
    return {"type": "integer", "minimum": low, "maximum": high}


def yes_or_no(request: Request, name: str) -> bool:
    """A query parameter as a truth; not given is no. Raises: Problem that names it."""
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise Problem(status.HTTP_400_BAD_REQUEST, f"{given[:40]!r} is neither true nor false.", name)
    return given == "true"


class StrictQuery:
    """Refuses parameters that a view does not know, and one that is given twice where it holds one value.

    A view names its own in `parameters`, those that may be repeated in `repeated`, or both by action in `parameters_of`.
    """

    parameters: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    parameters_of: dict[str, tuple[str, ...]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        known, repeated = self.known_parameters(request)
        for name, values in request.query_params.lists():
            if name not in known:
                near = get_close_matches(name, known, n=1)
                told = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(sorted(known)) or 'none'}."
                raise Problem(status.HTTP_400_BAD_REQUEST, f"There is no such parameter here.{told}", name[:60])
            if len(values) > 1 and name not in repeated:
                raise Problem(status.HTTP_400_BAD_REQUEST, "Is given more than once; it holds one value.", name)
            if any("\x00" in value for value in values):
                raise Problem(status.HTTP_400_BAD_REQUEST, "Holds a NUL character.", name)

    def known_parameters(self, request: Request) -> tuple[set[str], set[str]]:
        """Names that are known, and those of them that may be repeated."""
        action = getattr(self, "action", "") or ""
        known = {*self.parameters, *self.repeated, *self.parameters_of.get(action, ())}
        repeated = set(self.repeated)
        if request.method not in SAFE_METHODS:
            return known, repeated
        if isinstance(self, SparseFields):
            known.add(FIELDS)
        if len(getattr(self, "renderer_classes", ())) > 1:
            known.add("format")
        if getattr(self, "is_listing", action == "list"):
            known |= self._of_lists(repeated)
        return known, repeated

    def _of_lists(self, repeated: set[str]) -> set[str]:
        known: set[str] = set()
        if paginator := getattr(self, "paginator", None):
            known |= {paginator.page_query_param, paginator.page_size_query_param}
        if filters := getattr(self, "filterset_class", None):
            for name, one in filters.base_filters.items():
                known.add(name)
                if issubclass(one.field_class.widget, SelectMultiple):
                    repeated.add(name)
        return known


class SparseFields:
    """`?fields=title,claims.value`: only these fields of an answer."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        made = super().get_serializer(*args, **kwargs)  # type: ignore[misc]
        request = getattr(self, "request", None)
        if request is not None and request.method in SAFE_METHODS and FIELDS in request.GET:
            keep_fields(made, field_tree(request.GET[FIELDS]))
        return made


def field_tree(text: str) -> Tree:
    """Dotted names as a tree. Raises: Problem where a name is blank."""
    tree: Tree = {}
    for name in text.split(","):
        node = tree
        for part in name.strip().split("."):
            if not part:
                raise Problem(
                    status.HTTP_400_BAD_REQUEST, "Names a blank field; write it like title,claims.value.", FIELDS
                )
            node = node.setdefault(part, {})
    return tree


def keep_fields(serializer: Any, tree: Tree, path: str = "") -> None:
    """Take away all other fields. Raises: Problem naming a field that is not there."""
    inner = getattr(serializer, "child", serializer)
    if not isinstance(inner, serializers.Serializer):
        raise Problem(status.HTTP_400_BAD_REQUEST, f"{path.rstrip('.')!r} has no fields to choose from.", FIELDS)
    fields = inner.fields
    for name, under in tree.items():
        if name not in fields:
            raise Problem(
                status.HTTP_400_BAD_REQUEST, f"There is no field {f'{path}{name}'[:60]!r}.{_near(name, fields)}", FIELDS
            )
        if under:
            keep_fields(fields[name], under, f"{path}{name}.")
    for name in set(fields) - set(tree):
        fields.pop(name)


def _near(name: str, fields: Iterable[str]) -> str:
    near = get_close_matches(name, list(fields), n=1)
    return f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(fields)}."
