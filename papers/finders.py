"""Static files that are made and not kept: the chart library, bundled out of its Python package."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

from papers.files import whole

BUNDLE = "charts/vega.js"
# Vega's expressions run in its own interpreter (`ast` in charts.js), so that no page needs 'unsafe-eval'.
SNIPPET = "window.vegaEmbed = vegaEmbed;"


class BundleFinder(BaseFinder):
    """Finds `charts/vega.js`: Vega, Vega-Lite and Vega-Embed in one file, made when it is first asked for and then kept."""

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        version = importlib.metadata.version("vl-convert-python")
        self.storage = FileSystemStorage(settings.DATA_DIR / "bundles" / version)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = [str(self._made())] if path == BUNDLE else []
        return found if find_all else (found[0] if found else [])

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:
        self._made()
        yield BUNDLE, self.storage

    def _made(self) -> Path:
        path = Path(self.storage.path(BUNDLE))
        if not path.is_file():
            import vl_convert

            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as aside:
                aside.write_text(vl_convert.javascript_bundle(SNIPPET), encoding="utf-8")
        return path
