"""The shapes of what the HTTP API takes and gives, as JSON Schema."""

from typing import Any

from knossosd.faults import Code
from knossosd.repo.document import json_schema
from knossosd.tickets.record import State
from knossosd.tickets.store import TICKET_LIMIT

Schema = dict[str, Any]

PLACE = "#/components/schemas/{model}"


def shape(name: str) -> Schema:
    """A reference to the shape of that name."""
    return {"$ref": PLACE.format(model=name)}


def text(description: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def number(description: str = "", minimum: float = 0, kind: str = "number", **more: Any) -> Schema:
    return {"type": kind, "minimum": minimum, **({"description": description} if description else {}), **more}


def count(description: str = "", **more: Any) -> Schema:
    return number(description, kind="integer", **more)


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def fields(needed: dict[str, Schema], /, **optional: Schema) -> Schema:
    """An object that has the `needed` fields, and may have the `optional` ones."""
    return {"type": "object", "properties": {**needed, **optional}, "required": list(needed)}


YES, NO, NOTHING = {"const": True}, {"const": False}, {"type": "null"}
EITHER = {"type": "boolean"}

TICKET = count("The number of a ticket.", exclusiveMaximum=TICKET_LIMIT)
TOKEN = text("What proves that a ticket is one's own.")

STATUS = {
    "state": {"enum": [state.value for state in State]},
    "time": number("When the state last changed, in epoch seconds."),
    "progress": number("How much is done.", maximum=1),
    "text": text("A line for each archive that is at work."),
    "attempt": count("How many workers have begun it."),
}
DONE = {"runtime": number("Seconds that the conversion took."), "success": EITHER}

FINDING = fields(
    {"code": {"enum": [code.value for code in Code]}, "message": text("What is wrong, in plain words.")},
    hint=text("What to do about it."),
    mod=text("The id of the mod that it is about."),
    package=text("The name of the package."),
    file=text("The file name of the archive."),
)
FOUND = {"success": EITHER, "finished": EITHER, "found": EITHER}
DOCUMENT_TEXT = text(contentMediaType="application/json", contentSchema=shape("Document"))


def shapes() -> dict[str, Schema]:
    """Every shape by its name."""
    document = json_schema(PLACE)
    return {
        **document.pop("$defs"),
        "Document": document,
        "Submission": fields(
            {"data": {"description": "The repo document, or its text.", "anyOf": [shape("Document"), DOCUMENT_TEXT]}},
            passwd=text("An API key, unless it stands in `Authorization`."),
            webhook=text("A link that is told when the conversion has ended.", format="uri"),
            no_cache={"description": "Fetch and read everything anew.", "enum": [True, False, "1", "true", ""]},
        ),
        "Claim": fields({"ticket": TICKET, "token": TOKEN}),
        "File": fields({"file": text("The archive.", format="binary")}),
        "Error": fields({"error": YES, "message": text()}),
        "RefusedDocument": fields(
            {
                "ticket": NOTHING,
                "token": NOTHING,
                "error": YES,
                "message": text(),
                "errors": listed(fields({"path": text("Such as `mods[0].packages[2].files[0]`."), "message": text()})),
            }
        ),
        "Receipt": fields({"ticket": TICKET, "token": TOKEN}),
        "Status": fields(STATUS, **DONE, position=count("Its place in the queue, while it waits.")),
        "Tasks": {
            "type": "object",
            "description": "Every ticket by its number.",
            "additionalProperties": fields(
                STATUS | {"title": text(), "age": {"type": "number", "description": "Seconds."}}, **DONE
            ),
        },
        "Finding": FINDING,
        "Outcome": {
            "description": "What became of a ticket.",
            "anyOf": [
                fields(
                    FOUND
                    | {
                        "json": DOCUMENT_TEXT | {"description": "The generated document.", "contentSchema": {}},
                        "success": YES,
                        "finished": YES,
                        "errors": listed(shape("Finding")),
                        "warnings": listed(shape("Finding")),
                    }
                ),
                fields(
                    FOUND | {"json": NOTHING, "success": NO},
                    errors=listed(shape("Finding")),
                    warnings=listed(shape("Finding")),
                ),
            ],
        },
        "Cancellation": fields({"cancelled": EITHER, "found": EITHER}),
        "Deed": fields({"error": NO, "done": {**EITHER, "description": "False when there was nothing to do."}}),
        "Upload": fields(
            {
                "error": NO,
                "url": text("What may stand as a link in a document.", format="uri"),
                "sha256": text(pattern="^[0-9a-f]{64}$"),
                "size": count("Bytes."),
                "filename": text(),
            }
        ),
        "Life": fields({"alive": YES}),
        "Readiness": fields(
            {
                "ready": EITHER,
                "checks": fields(
                    {
                        "redis": fields({"ok": EITHER}),
                        "workers": fields({"ok": EITHER, "living": {"type": ["integer", "null"]}}),
                        "disk": fields({"ok": EITHER, "free": {"type": ["integer", "null"]}}),
                    }
                ),
            }
        ),
    }
