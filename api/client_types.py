"""The schema's records as typed dictionaries, for the client; written by `manage.py write_schema`."""

import json
from collections.abc import Iterator
from typing import Any

HEAD = '''"""Records of the API as typed dictionaries. Written by `manage.py write_schema`; change serializers, not this file."""

from typing import Any, Literal, NotRequired, TypedDict
'''
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def client_types(schema: dict[str, Any]) -> str:
    """Python source. The functional form, so that any name can be a key and records may refer to later ones."""
    records = schema["components"]["schemas"]
    return HEAD + "".join(_record(name, records[name]) for name in sorted(records))


def _record(name: str, record: dict[str, Any]) -> str:
    if "enum" in record:
        return f"\n{name} = {_type(record)}\n"
    if record.get("type") != "object" or "properties" not in record:
        return f"\n{name} = Any\n"
    lines = "".join(f"        {_literal(key)}: {_quoted(told)},\n" for key, told in _fields(record))
    return f'\n{name} = TypedDict(\n    "{name}",\n    {{\n{lines}    }},\n)\n'


def _fields(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    required = record.get("required", [])
    for key, field in record["properties"].items():
        told = _type(field)
        yield key, told if key in required or field.get("readOnly") else f"NotRequired[{told}]"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    for word in ("oneOf", "anyOf"):
        if word in field:
            return " | ".join(dict.fromkeys(_type(one) for one in field[word]))
    if "allOf" in field and len(field["allOf"]) == 1:
        return _type(field["allOf"][0])
    if "enum" in field:
        return f"Literal[{', '.join(_literal(one) for one in field['enum'])}]"
    if "const" in field:
        return f"Literal[{_literal(field['const'])}]"
    kinds = field.get("type")
    if isinstance(kinds, list):
        return " | ".join(dict.fromkeys(_type({**field, "type": one}) for one in kinds))
    if kinds == "array":
        return f"list[{_type(field.get('items', {}))}]"
    if kinds == "object":
        more = field.get("additionalProperties")
        return f"dict[str, {_type(more) if isinstance(more, dict) and more else 'Any'}]"
    return PLAIN.get(str(kinds), "Any")


def _literal(value: Any) -> str:
    return "None" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _quoted(told: str) -> str:
    """As text, since a record may refer to a later one."""
    return f"'{told}'" if '"' in told else f'"{told}"'
