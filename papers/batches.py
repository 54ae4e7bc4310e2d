"""A long row of things, some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of so many things in order, the last one shorter; nothing is taken before it is asked for. (`itertools` of Python 3.12.)"""
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some
