"""One writer a format; each takes rows one by one and keeps at most some thousand of them in memory."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from api.exports.columns import Column, ColumnType, as_json, cell, json_text

_BATCH = 2000


class Writer(Protocol):
    def write(self, row: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class GzippedText:
    """Text packed so that the same text always gives the same bytes."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        self._packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=6, mtime=0)
        self._text = io.TextIOWrapper(self._packed, encoding="utf-8", newline="")

    def write(self, text: str) -> None:
        self._text.write(text)

    def close(self) -> None:
        self._text.close()
        self._raw.close()


class JsonLines:
    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = GzippedText(path)

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(json_text(row) + "\n")

    def close(self) -> None:
        self._file.close()


class Csv:
    """RFC 4180: a header, CRLF, quotes doubled."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\r\n")
        self._csv.writerow([column.name for column in columns])

    def write(self, row: dict[str, Any]) -> None:
        self._csv.writerow([cell(row[column.name], column.type) for column in self._columns])

    def close(self) -> None:
        self._file.close()


class Parquet:
    """Typed columns; objects are JSON text."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import pyarrow
        import pyarrow.parquet

        types: dict[ColumnType, Any] = {
            "text": pyarrow.string(),
            "integer": pyarrow.int64(),
            "number": pyarrow.float64(),
            "boolean": pyarrow.bool_(),
            "date": pyarrow.date32(),
            "time": pyarrow.timestamp("us", tz="UTC"),
            "texts": pyarrow.list_(pyarrow.string()),
            "json": pyarrow.string(),
        }
        fields = [pyarrow.field(c.name, types[c.type], metadata={"description": c.about}) for c in columns]
        self._arrow, self._columns, self._schema = pyarrow, columns, pyarrow.schema(fields)
        self._file = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        self._rows.append({column.name: self._plain(row[column.name], column.type) for column in self._columns})
        if len(self._rows) >= _BATCH:
            self._flush()

    @staticmethod
    def _plain(value: Any, kind: ColumnType) -> Any:
        if value is None or kind in ("date", "time"):
            return value
        if kind == "json":
            return json_text(value)
        return [str(word) for word in value] if kind == "texts" else as_json(value)

    def _flush(self) -> None:
        self._file.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()


FORMATS: dict[str, tuple[str, type[JsonLines] | type[Csv] | type[Parquet]]] = {
    "jsonl": (".jsonl.gz", JsonLines),
    "csv": (".csv", Csv),
    "parquet": (".parquet", Parquet),
}
"""By the word that asks for it: the end of the file's name, and the writer."""
