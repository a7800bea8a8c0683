"""How operations and their answers are written in OpenAPI, and the answers that several routes give."""

from typing import Any

from knossosd.web.bodies import SMALL
from knossosd.web.openapi.shapes import TICKET, Schema, count, shape, text

Part = dict[str, Any]

JSON, HTML, TEXT, ANY = "application/json", "text/html", "text/plain", "*/*"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

KEY_SCHEMES: Part = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The password is an API key; any name will do."},
}
KEY: list[Part] = [{name: []} for name in KEY_SCHEMES]
KEY_OR_NOT: list[Part] = [*KEY, {}]
"""Where the key may also stand in the body, or is not asked of everybody."""

TOKEN_SCHEMES: Part = {"token": {"type": "http", "scheme": "bearer", "description": "The token of an upload."}}
TOKEN: list[Part] = [{name: []} for name in TOKEN_SCHEMES]


def does(
    summary: str, answers: Part, *parameters: Part, body: Part | None = None, key: list[Part] | None = None
) -> Part:
    """An operation with its `answers` by status, to which those come that every route may give."""
    optional = {"requestBody": body, "parameters": list(parameters), "security": key}
    given = {name: value for name, value in optional.items() if value}
    return {"summary": summary, "responses": {**ON_EVERY_ROUTE, **answers}, **given}


def gives(description: str, schema: Schema | None = None, kind: str = JSON, headers: Part | None = None) -> Part:
    """An answer with a body of that `kind`."""
    answer = {"description": description, "content": {kind: {"schema": schema or {}}}}
    return {**answer, "headers": {name: {"schema": schema} for name, schema in headers.items()}} if headers else answer


def gives_either(*answers: Part) -> Part:
    """An answer that has one of several kinds of bodies."""
    headers = {name: header for answer in answers for name, header in answer.get("headers", {}).items()}
    return {
        "description": " ".join(answer["description"] for answer in answers),
        "content": {kind: body for answer in answers for kind, body in answer["content"].items()},
        **({"headers": headers} if headers else {}),
    }


def takes(name: str, *kinds: str) -> Part:
    return {"required": True, "content": {kind: {"schema": shape(name)} for kind in kinds}}


def in_path(name: str, schema: Schema) -> Part:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def in_query(name: str, schema: Schema) -> Part:
    return {"name": name, "in": "query", "schema": schema}


def in_header(name: str, description: str, **schema: Any) -> Part:
    return {"name": name, "in": "header", "description": description, "schema": text(**schema)}


LATER = {"Retry-After": count("Seconds.")}
THROTTLED = gives(
    "Too many wrong keys or tokens came from this address: the one that came was not looked at.",
    shape("Error"),
    headers=LATER,
)
NO_REDIS = gives("The database is away.", shape("Error"), headers=LATER)
ANSWERS: Part = {
    "TooLarge": gives(f"The body has more than {SMALL} bytes, and was not read.", shape("Error")),
    "Throttled": THROTTLED,
    "NoRedis": NO_REDIS,
}
"""What stands around all routes, whether they want a body, a key and the database or not."""

ON_EVERY_ROUTE: Part = {
    status: {"$ref": f"#/components/responses/{name}"}
    for status, name in (("413", "TooLarge"), ("429", "Throttled"), ("503", "NoRedis"))
}

NO_NUMBER = {"400": gives("The number is too long.", shape("Error")), "404": gives("No such ticket.", shape("Error"))}
NO_PAGE = {"400": gives("The number is too long.", text(), TEXT), "404": gives("Nothing is here.", text(), TEXT)}
NO_TOKEN = {"403": gives("Not the ticket's token.", text(), HTML)}

BY_NUMBER = in_path("ticket", TICKET)

NO_KEY = {"401": gives("No key for it.", text(), HTML, {"WWW-Authenticate": text()})}
NOT_FROM_OTHER_SITES = {"403": gives("A page of another site asks.", shape("Error"))}
FROM_ANYWHERE = {"Access-Control-Allow-Origin": {"const": "*"}}
