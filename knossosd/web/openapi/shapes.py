"""The shapes of what the HTTP API takes and gives, as JSON Schema."""

from typing import Any

from knossosd.faults import Code
from knossosd.repo.document import json_schema
from knossosd.tickets.chunked import ChunkedState
from knossosd.tickets.measures import Attempt, Duration, Result
from knossosd.tickets.record import State
from knossosd.tickets.store import TICKET_LIMIT
from knossosd.web.statistics import BYTES, SAMPLED

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
SHA256 = text("Hex SHA-256.", pattern="^[0-9a-f]{64}$")
TOKEN = text("What proves that a ticket is one's own.")

STATUS = {
    "state": {"enum": [state.value for state in State]},
    "time": number("When the state last changed, in epoch seconds."),
    "progress": number("How much is done.", maximum=1),
    "text": text("A line for each archive that is at work."),
    "attempt": count("How many workers have begun it."),
    "title": text("The titles and versions of the mods."),
}
DONE = {"runtime": number("Seconds that the conversion took."), "success": EITHER}

FINDING = fields(
    {"code": {"enum": [code.value for code in Code]}, "message": text("What is wrong, in plain words.")},
    hint=text("What to do about it."),
    mod=text("The id of the mod that it is about."),
    package=text("The name of the package."),
    file=text("The file name of the archive."),
)
PROBLEM = fields({"path": text("Such as `mods[0].packages[2].files[0]`."), "message": text()})
FOUND = {"success": EITHER, "finished": EITHER, "found": EITHER}
DOCUMENT_TEXT = text(contentMediaType="application/json", contentSchema=shape("Document"))

SENT_DOCUMENT = {"description": "The repo document, or its text.", "anyOf": [shape("Document"), DOCUMENT_TEXT]}
KEY_FIELD = text("An API key, unless it stands in `Authorization`.")

NAMES = listed(text())
OUTLINE = fields(
    {
        "ready": YES,
        "files": count("How many there are."),
        "size": count("Their bytes."),
        "top": NAMES,
        "mod_inis": NAMES,
        "vps": NAMES,
        "programs": NAMES,
        "warnings": listed(shape("Finding")),
    }
)

BEGUN = {
    "error": NO,
    "id": text("What names the upload."),
    "filename": text(),
    "size": count("Bytes of the file."),
    "part_size": count("Bytes of every part but the last."),
    "parts": count("How many there are."),
    "state": {"enum": [state.value for state in ChunkedState]},
    "errors": listed(shape("Finding")),
}

COUNTS, MEASURES = listed(count()), listed({"type": ["number", "null"], "minimum": 0})
STATISTICS = {
    "step": count("Seconds in a slot."),
    "times": COUNTS,
    "submitted": COUNTS,
    "ended": fields({result.value: COUNTS for result in Result}),
    "webhooks": fields({attempt.value: COUNTS for attempt in Attempt}),
    "bytes": fields(dict.fromkeys(BYTES, COUNTS)),
    "sampled": fields(dict.fromkeys(SAMPLED, MEASURES)),
    "durations": fields(
        {kind.value: fields({"count": COUNTS, "mean": MEASURES, "p95": MEASURES}) for kind in Duration}
    ),
    "now": fields(
        {
            **dict.fromkeys(("waiting", "working", "dead", "webhooks", "watchers"), count()),
            "oldest": number("Seconds that the oldest ticket has waited."),
            "workers": listed(
                fields({"host": text(), "pid": count(), "since": number(), "ticket": {"type": ["integer", "null"]}})
            ),
            "store": {"anyOf": [fields({"contents": count(), "size": count("Bytes.")}), NOTHING]},
            "free": {"type": ["integer", "null"]},
        }
    ),
}


def shapes() -> dict[str, Schema]:
    """Every shape by its name."""
    document = json_schema(PLACE)
    return {
        **document.pop("$defs"),
        "Document": document,
        "Draft": fields({"data": SENT_DOCUMENT}, passwd=KEY_FIELD),
        "Submission": fields(
            {"data": SENT_DOCUMENT},
            passwd=KEY_FIELD,
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
                "errors": listed(PROBLEM),
            }
        ),
        "CheckedDocument": fields({"valid": EITHER, "errors": listed(PROBLEM), "warnings": listed(shape("Finding"))}),
        "Receipt": fields({"ticket": TICKET, "token": TOKEN}),
        "Status": fields(STATUS, **DONE, position=count("Its place in the queue, while it waits.")),
        "Tasks": {
            "type": "object",
            "description": "Every ticket by its number.",
            "additionalProperties": fields(STATUS | {"age": {"type": "number", "description": "Seconds."}}, **DONE),
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
                "sha256": SHA256,
                "size": count("Bytes."),
                "filename": text(),
            }
        ),
        "Announcement": fields(
            {"filename": text("With one of the endings in `UPLOAD_EXTENSIONS`."), "size": count("Bytes.", minimum=1)},
            sha256=SHA256,
            passwd=KEY_FIELD,
        ),
        "UploadInParts": fields(
            BEGUN,
            token=text("What the other calls need; told to whoever begins."),
            missing=listed(count("The number of a part.")),
            progress=number("How much is read, while it is FINISHING.", maximum=1),
            url=text("What may stand as a link in a document.", format="uri"),
            sha256=SHA256,
        ),
        "SentPart": fields({"error": NO, "part": count()}),
        "RefusedPart": fields({"error": YES, "message": text(), "code": {"enum": [code.value for code in Code]}}),
        "MissingParts": fields({"error": YES, "message": text(), "missing": listed(count())}),
        "Success": fields({"error": NO}),
        "Named": fields({"filename": text("What the upload is called.")}),
        "Preview": {"anyOf": [OUTLINE, fields({"ready": YES, "error": shape("Finding")})]},
        "NoPreview": fields({"ready": NO}),
        "Statistics": fields(STATISTICS),
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
