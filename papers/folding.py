"""The key under which a paper's title is unique.

One paper reaches us from several pages that spell its title differently: "$\\pi$", "π" and, where a page lost the
backslash, "pi". The key keeps letters and digits only and writes what LaTeX and Unicode can both say in one way.
"""

import re
import unicodedata
from functools import lru_cache

# Casefolding comes first, so small letters suffice. A final sigma is casefolded to an ordinary one.
_SPELLED_OUT = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta"},
    **{"ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ο": "omicron", "π": "pi"},
    **{"ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega"},
    "ϵ": "epsilon",
    "ϑ": "theta",
    "ϕ": "phi",
    "ϱ": "rho",
    "ℓ": "ell",
    "×": "times",
    "∞": "infty",
    "∇": "nabla",
    "∂": "partial",
    "→": "to",
}
_SPELL_OUT = str.maketrans(_SPELLED_OUT)

_ACCENT = re.compile(r"\\[hcvukrbdt]\{\s*(\w)\s*\}")  # \H{o}, \c{c}, \v{s}: the letter stays
_ARROW = re.compile(r"\\?rightarrow|\\to(?![a-z])")
# These print nothing that the other spellings of a title would have. None is part of an English word, so they go even
# where the backslash was lost, save in "anecdotal".
_SILENT = re.compile(
    r"\\?(?<!ane)cdot|\\?math(?:cal|bb|bf|rm|sf|it|tt|frak|scr)|\\?text(?:bf|it|sc|rm|tt|sf)"
    r"|\\(?:text|emph|operatorname|left|right|boldsymbol|bm|ensuremath)(?![a-z])"
)
_VARIANT = re.compile(r"var(?=epsilon|phi|theta|rho|sigma|pi|kappa)")


@lru_cache(maxsize=16_384)  # a batch asks for the keys of its titles, and of their words, more than once
def fold_title(title: str) -> str:
    """Key of a title: two spellings of one title share it, two titles that differ in a letter or digit do not.

    Case, accents, spaces, punctuation and LaTeX markup are dropped. A title without any letter or digit keeps its
    symbols, so the key is empty only for a blank title.
    """
    text = title.casefold()
    plain = _ACCENT.sub(r"\1", text)
    plain = _SILENT.sub("", _ARROW.sub(" to ", plain))
    plain = _VARIANT.sub("", plain.translate(_SPELL_OUT))
    return _letters_and_digits(plain) or _letters_and_digits(text) or "".join(text.split())


def _letters_and_digits(text: str) -> str:
    # The compatibility form turns "²" into "2" and a ligature into its letters. Only the accents of European scripts
    # are dropped: in others such marks are vowels, and without them different words become one. The second range holds
    # variation selectors, which print nothing.
    apart = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(c for c in apart if not ("\u0300" <= c <= "\u036f" or "\ufe00" <= c <= "\ufe0f"))
    # A letter or symbol may appear only here ("ﬀ", "𝜋"), so the table is used once more.
    whole = unicodedata.normalize("NFC", bare).translate(_SPELL_OUT)
    return "".join(c for c in whole if unicodedata.category(c)[0] in "LNM")
