"""Numbers that are fixed are found by a shorter way than numbers that still grow, and are the same."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.extraction.signals import GROUPS, FixedNumbering, Numbering

WORDS = st.sampled_from(["zed", "wick", "sparse", "kernel", ""])
PAIRS = st.tuples(WORDS.filter(bool), WORDS.filter(bool)).map(" ".join)


@given(known=st.lists(PAIRS, unique=True), words=st.lists(WORDS, max_size=12))
def test_pairs_have_the_same_numbers_in_the_same_order(known: list[str], words: list[str]) -> None:
    keys: dict[str, dict[str, int]] = {group: {} for group in GROUPS}
    keys["own pair"] = {pair: number for number, pair in enumerate(known)}
    found = FixedNumbering(keys).pairs("own pair", words)
    assert found == Numbering(keys).pairs("own pair", words)
    assert len(found) == len(set(found))


def test_a_phrase_that_is_heard_more_often_says_more_up_to_a_limit() -> None:
    numbering = Numbering({group: {} for group in GROUPS})
    own = 1 << 48
    shares = [
        numbering.hear("families", "zed", own * times, (("quantization", 2.0),))[2][0][4] for times in (1, 2, 9, 99)
    ]
    assert shares[0] < shares[1] < shares[2] == shares[3]
