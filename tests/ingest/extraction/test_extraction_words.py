"""How texts are cut into words, and how phrases and triggers are found among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.extraction.vocabulary import BACKGROUND, OWN, TITLE, Lexicon, PhraseTable
from ingest.extraction.words import DIGIT, KNOWN, folded, know, pulled, split_words, trigger

FOLDED = {
    "plural": ("Low-rank Adapters", ["low", "rank", "adapter"]),
    "y": ("Libraries", ["library"]),
    "kept": ("This bias is less", ["this", "bias", "is", "less"]),
    "formula": (r"$2\times$ Größe_x", ["2", "times", "größe", "x"]),
}


@pytest.mark.parametrize(("text", "words"), FOLDED.values(), ids=FOLDED.keys())
def test_words_are_folded(text: str, words: list[str]) -> None:
    assert folded(text) == words


def test_the_longest_phrase_wins_and_hides_those_inside_it() -> None:
    table = PhraseTable([("kv cache", "cache"), ("kv cache size", "size"), ("cache", "any"), ("size limit", "limit")])
    hits = [(hit.payload, hit.first, hit.stop) for hit in table.find(folded("the KV-cache size limit of caches"))]
    assert hits == [("size", 1, 4), ("any", 6, 7)]


def test_a_phrase_without_words_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no word"):
        PhraseTable([("--", 1)])


def test_a_trigger_is_pulled_by_words_and_by_beginnings() -> None:
    pull = trigger("zedwick", starts="zedf")
    assert [bool(pulled(know([word])) & pull) for word in ("zedwick", "zedwicks", "zedflow", "zed")] == [
        True,
        False,
        True,
        False,
    ]
    assert pulled(know(["x2"])) & DIGIT


WORDS = st.lists(st.sampled_from(["zeda", "zedb", "zedc", "other"]), max_size=12)
PHRASES = st.lists(st.lists(st.sampled_from(["zeda", "zedb", "zedc"]), min_size=1, max_size=3), max_size=5)


@pytest.fixture(scope="module", autouse=True)
def _separate_tree():
    """Phrases of these tests stay out of the tree that extraction uses."""
    tree, KNOWN.tree = KNOWN.tree, {}
    KNOWN.by_spelling.clear()
    yield
    KNOWN.tree = tree
    KNOWN.by_spelling.clear()


@given(title=WORDS, words=WORDS, tables=st.lists(PHRASES, max_size=3), own=st.integers(0, 12))
def test_tables_in_one_tree_find_what_each_finds_alone(
    title: list[str], words: list[str], tables: list[list[list[str]]], own: int
) -> None:
    KNOWN.tree.clear()
    KNOWN.by_spelling.clear()
    lexicon, alone = Lexicon(), []
    for phrases in tables:
        spelled = [" ".join(phrase) for phrase in phrases]
        lexicon.add((phrase, ()) for phrase in spelled)
        alone.append(PhraseTable((phrase, phrase) for phrase in spelled))
    found = lexicon.find(know(title), know(words), own)
    for table, hits in zip(alone, found, strict=True):
        expected = [(TITLE, hit.payload) for hit in table.find(title)]
        expected += [(BACKGROUND if hit.first < own else OWN, hit.payload) for hit in table.find(words)]
        assert [(place, phrase) for place, _, phrase, *_ in hits] == expected


def test_split_words_lowers_and_parts_at_everything_else() -> None:
    assert split_words("GPU-days/W4A16\n30% – ok_go") == ["gpu", "days", "w4a16", "30", "ok", "go"]
