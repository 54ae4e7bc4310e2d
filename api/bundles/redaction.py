"""Takes out of texts what belongs to the machine that a run was made on. No Django here."""

import re
from typing import Any

# A path of two parts or more; its last part says enough. Not an address, and not a fraction such as tokens/s.
_PATH = re.compile(
    r"(?<![\w/.~:])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+\-]+){2,}[/\\]?|(?<=:)(?:/[\w.@+\-]+){2,}/?|(?<!\w)~/[\w.@+\-/]+"
)
_HOME = re.compile(r"(?<![\w/])(?:/home|/Users|/root)\b[^\s\"':,)]*")
_SECRETS = (
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/@:]+(?::[^\s/@]*)?@", re.IGNORECASE),
    re.compile(r"(?P<keep>\bauthorization\s*[:=]\s*)(?:(?:bearer|token|basic)\s+)?\S+", re.IGNORECASE),
    re.compile(r"(?P<keep>\b(?:bearer|token)\s+)[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE),
    re.compile(
        r"(?P<keep>\b[\w-]*(?:secret|password|passwd|api[_-]?key|access[_-]?key|token)[\w-]*[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>)\b(?:sp_|hf_|ghp_|gho_|github_pat_|sk-|xox[abp]-|glpat-)[A-Za-z0-9_\-]{10,}"),
    re.compile(r"(?P<keep>)\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
)
REMOVED = "[removed]"


def redact(text: str) -> str:
    """Without secrets and without the folders of paths."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: found["keep"] + REMOVED, text)
    return _HOME.sub(REMOVED, _PATH.sub(lambda found: _last_part(found[0]), text))


def _last_part(path: str) -> str:
    return "…/" + re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def redact_all(value: Any) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(str(key)): redact_all(inner) for key, inner in value.items()}
    return [redact_all(inner) for inner in value] if isinstance(value, list) else value
