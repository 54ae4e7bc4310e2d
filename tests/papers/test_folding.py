"""Which spellings of a title are one paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papers.folding import fold_title


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("A$\\cdot$B$\\cdot$C Nets", "AcdotBcdotC Nets", id="lost-backslash"),
        pytest.param("Nets of A·B", "Nets of A$\\cdot$B", id="middle-dot"),
        pytest.param("Slim-$π$: A Model", "Slim-$\\pi$: a model", id="greek-letter"),
        pytest.param("Slim-$π$: A Model", "Slim-pi: a model", id="greek-letter-by-name"),
        pytest.param("$\\varepsilon$-Shrinking", "ε-Shrinking", id="variant-letter"),
        pytest.param("2$\\times$ Smaller", "2× Smaller", id="times"),
        pytest.param("BT$^2$: Twice", "BT²: Twice", id="superscript"),
        pytest.param("$\\ell_1$ Pruning", "ℓ1 pruning", id="script-letter"),
        pytest.param("2D \\& 3D", "2D & 3D", id="escaped-ampersand"),
        pytest.param("An $\\mathcal{O}(n)$ Method", "An mathcal{O}(n) method", id="font-command"),
        pytest.param("\\textbf{Bold} Claims", "Bold Claims", id="bold"),
        pytest.param("Poincaré Maps", "Poincar\\'e Maps", id="latex-accent"),
        pytest.param("Erdős Graphs", "Erd\\H{o}s Graphs", id="latex-accent-with-braces"),
        pytest.param("Eﬃcient Nets", "Efficient nets", id="ligature"),
        pytest.param("Low-Rank  Nets", "Low rank nets", id="hyphen-and-spaces"),
        pytest.param("“Quoted” Nets", '"Quoted" Nets', id="quotes"),
        pytest.param("A→B", "A $\\to$ B", id="arrow"),
        pytest.param("\u0438\u0306 Model", "\u0439 Model", id="composed-or-not"),
    ],
)
def test_spellings_of_one_title(one, other):
    assert fold_title(one) == fold_title(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Net: Efficient Mixing for Images", "Net: An Efficient Network for Images", id="same-method"),
        pytest.param("MobileNetV2", "MobileNetV3", id="version"),
        pytest.param("Anecdotal Evidence", "Aneal Evidence", id="cdot-in-a-word"),
        pytest.param("किताब", "कतब", id="vowel-signs"),
        pytest.param("ガス", "カス", id="voiced-kana"),
        pytest.param("α-Nets", "β-Nets", id="greek"),
        pytest.param("高效网络", "高效模型", id="chinese"),
    ],
)
def test_different_papers_stay_two(one, other):
    assert fold_title(one) != fold_title(other)


@pytest.mark.parametrize("title", ["$\\cdot$", "???", "→", "cdot", "\\mathbf{}", "∞"])
def test_title_of_symbols_keeps_a_key(title):
    assert fold_title(title)


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_title_has_no_key(blank):
    assert fold_title(blank) == ""


@given(st.text(min_size=1).filter(str.strip))
def test_key_of_a_title_is_never_empty(title):
    assert fold_title(title)


@given(st.lists(st.sampled_from(["efficient", "nets", "8-bit", "réseaux", "π", "模型", "\\alpha", "V2"]), min_size=1))
def test_key_ignores_case_spaces_and_punctuation(words):
    assert fold_title(" ".join(words)) == fold_title(",  ".join(words).upper().replace("\\ALPHA", "\\alpha") + ".")
