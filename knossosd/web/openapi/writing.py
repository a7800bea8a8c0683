"""How operations and their answers are written in OpenAPI, and the answers that several routes give."""

from typing import Any

from knossosd.web.openapi.shapes import TICKET, Schema, count, shape, text

Part = dict[str, Any]

JSON, HTML, TEXT, ANY = "application/json", "text/html", "text/plain", "*/*"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

KEY_SCHEMES: Part = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The password is an API key; any name will do."},
}
KEY: list[Part] = [{name: []} for name in KEY_SCHEMES]


def does(
    summary: str, answers: Part, *parameters: Part, body: Part | None = None, key: list[Part] | None = None
) -> Part:
    """An operation with its `answers` by status."""
    optional = {"requestBody": body, "parameters": list(parameters), "security": key}
    return {"summary": summary, "responses": answers, **{name: value for name, value in optional.items() if value}}


def gives(description: str, schema: Schema | None = None, kind: str = JSON, headers: Part | None = None) -> Part:
    """An answer with a body of that `kind`."""
    answer = {"description": description, "content": {kind: {"schema": schema or {}}}}
    return {**answer, "headers": {name: {"schema": schema} for name, schema in headers.items()}} if headers else answer


def takes(name: str, *kinds: str) -> Part:
    return {"required": True, "content": {kind: {"schema": shape(name)} for kind in kinds}}


def in_path(name: str, schema: Schema) -> Part:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def in_header(name: str, description: str) -> Part:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


LATER = {"Retry-After": count("Seconds.")}
NO_REDIS = {"503": gives("The database is away.", shape("Error"), headers=LATER)}
NO_NUMBER = {"400": gives("The number is too long.", shape("Error")), "404": gives("No such ticket.", shape("Error"))}
NO_PAGE = {"400": gives("The number is too long.", text(), TEXT), "404": gives("Nothing is here.", text(), TEXT)}
NO_TOKEN = {"403": gives("Not the ticket's token.", text(), HTML), "413": gives("Too large.", shape("Error"))}

BY_NUMBER = in_path("ticket", TICKET)

NO_KEY = {"401": gives("No key for it.", text(), HTML, {"WWW-Authenticate": text()})}
FROM_ANYWHERE = {"Access-Control-Allow-Origin": {"const": "*"}}
