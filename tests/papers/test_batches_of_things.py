"""Things some at a time: all of them, in order, and none taken early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from papers.batches import batched


@given(st.lists(st.integers()), st.integers(1, 9))
def test_all_come_in_order_and_only_the_last_list_is_short(things: list[int], size: int) -> None:
    found = list(batched(things, size))
    assert [one for some in found for one in some] == things
    assert all(len(some) == size for some in found[:-1])
    assert all(found)


def test_nothing_is_taken_before_it_is_asked_for() -> None:
    rest = iter(range(5))
    assert next(batched(rest, 2)) == [0, 1]
    assert next(rest) == 2
