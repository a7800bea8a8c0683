"""The documentation of a document's fields, read off its JSON Schema, which says it once for editors and for people."""

from collections.abc import Iterator
from typing import Any, NamedTuple

SIMPLE = {"string": "text", "boolean": "true or false", "object": "object", "integer": "number", "number": "number"}
Schema = dict[str, Any]


class Field(NamedTuple):
    """One field. `kinds` are the forms that its value may have; one that is the title of a part is described there."""

    name: str
    anchor: str
    kinds: tuple[str, ...]
    is_required: bool
    description: str


class Part(NamedTuple):
    """One kind of object in a document."""

    title: str
    description: str
    fields: tuple[Field, ...]


def parts(schema: Schema) -> list[Part]:
    """All parts of a document, the whole first, then as one leads to the other."""
    found: list[Part] = []
    open_ = list(_references(schema["anyOf"]))
    for name in open_:
        definition = schema["$defs"][name]
        open_ += [one for one in _references(definition) if one not in open_]
        if "properties" in definition:
            found.append(_part(definition, schema["$defs"]))
    return found


def _part(definition: Schema, definitions: Schema) -> Part:
    title, required = definition["title"], definition.get("required", [])
    fields = (
        Field(name, f"{title}.{name}", tuple(_kinds(value, definitions)), name in required, value["description"])
        for name, value in definition["properties"].items()
    )
    return Part(title, definition.get("description", ""), tuple(fields))


def _kinds(value: Schema, definitions: Schema) -> Iterator[str]:
    """The forms of a value in words; that null stands for a field that is left out goes without saying."""
    if "$ref" in value:
        yield from _kinds(definitions[_name(value)], definitions)
    elif "prefixItems" in value:
        yield "a pair of " + " and ".join(_in_word(one, definitions) for one in value["prefixItems"])
    elif "enum" in value:
        yield " | ".join(f'"{one}"' for one in value["enum"])
    elif value.get("type") == "array":
        yield f"list of {_in_word(value['items'], definitions)}"
    elif "properties" in value:
        yield value["title"]
    elif "type" in value and value["type"] != "null":
        yield SIMPLE[value["type"]]
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _kinds(one, definitions)


def _in_word(value: Schema, definitions: Schema) -> str:
    return " or ".join(_kinds(value, definitions)) or "anything"


def _references(value: Any) -> Iterator[str]:
    """The names of the definitions that the value refers to, in its order."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield _name(value)
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _name(reference: Schema) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name
