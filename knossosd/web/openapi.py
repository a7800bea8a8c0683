"""The HTTP API as an OpenAPI 3.1 document, published at `/openapi.json`.

What each route takes, and every answer that it may give, stands here as data. Tests fail when a route is missing or
does not exist, and hold the answers of a running server against what is said.
"""

import json
from typing import Any

import bottle

from knossosd import __version__
from knossosd.keyring import Scope
from knossosd.settings import Settings
from knossosd.web.drop import BOUND
from knossosd.web.mirror import served_at
from knossosd.web.shapes import TICKET, Schema, count, shape, shapes, text

Part = dict[str, Any]

JSON, HTML, TEXT, ANY = "application/json", "text/html", "text/plain", "*/*"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

KEY_SCHEMES: Part = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The password is an API key; any name will do."},
}
KEY: list[Part] = [{name: []} for name in KEY_SCHEMES]


def install(app: bottle.Bottle, settings: Settings) -> None:
    """Add the route."""
    written = json.dumps(describe(settings), indent=2)

    def openapi() -> str:
        bottle.response.content_type = JSON
        return written

    app.get("/openapi.json", callback=openapi)


def describe(settings: Settings) -> Part:
    """The OpenAPI document of a server with these settings."""
    paths = {**CONVERSIONS, **_monitor(settings), **UPLOADS, **SOCKETS, **_mirror(settings), **HEALTH, **FACTS, **PAGES}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "knossosd",
            "summary": "Turns FreeSpace Open repo documents into generated repo documents.",
            "description": f"Keys are good for some of: {', '.join(Scope)}. Faults are data, with a code and a hint.",
            "version": __version__,
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"securitySchemes": KEY_SCHEMES, "schemas": shapes()},
    }


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

CONVERSIONS: Part = {
    "/api/converter/request": {
        "post": does(
            "Submit a repo document to be converted.",
            {
                "200": gives(
                    "The ticket; or what is wrong with the document, and nothing was queued.",
                    {"anyOf": [shape("Receipt"), shape("RefusedDocument")]},
                ),
                "403": gives("No known key.", text(), HTML),
                "409": gives("The `Idempotency-Key` was used for another submission.", shape("Error")),
                "413": gives("Too large.", shape("RefusedDocument")),
                "429": gives("The key has reached its quota.", shape("Error"), headers=LATER),
                "503": gives("The queue or the disk is full, or the database is away.", shape("Error"), headers=LATER),
            },
            in_header("Idempotency-Key", "The same submission with the same text gives the same ticket."),
            body=takes("Submission", *FORMS, JSON),
            key=[*KEY, {}],
        )
    },
    "/api/converter/get_status/{ticket}": {
        "get": does(
            "How a ticket is doing.",
            {"200": gives("Its state.", shape("Status")), **NO_NUMBER, **NO_REDIS},
            BY_NUMBER,
        )
    },
    "/api/converter/retrieve": {
        "post": does(
            "The generated document of a ticket, as text, or why there is none.",
            {"200": gives("What became of it.", shape("Outcome")), **NO_TOKEN, **NO_REDIS},
            body=takes("Claim", *FORMS, JSON),
        )
    },
    "/api/converter/cancel": {
        "post": does(
            "Call a conversion off.",
            {"200": gives("Whether it was called off.", shape("Cancellation")), **NO_TOKEN, **NO_REDIS},
            body=takes("Claim", *FORMS, JSON),
        )
    },
}

NO_KEY = {"401": gives("No key for it.", text(), HTML, {"WWW-Authenticate": text()})}


def _monitor(settings: Settings) -> Part:
    return {
        "/api/list_tasks": {
            "get": does(
                "Every ticket.",
                {"200": gives("All of them.", shape("Tasks")), **NO_KEY, **NO_REDIS},
                key=[*KEY, {}] if settings.open_monitor else KEY,
            )
        },
        **{
            f"/api/tasks/{{ticket}}/{action}": {
                "post": does(
                    summary,
                    {
                        "200": gives("Done, if there was something to do.", shape("Deed")),
                        **NO_KEY,
                        **NO_NUMBER,
                        **NO_REDIS,
                    },
                    BY_NUMBER,
                    key=KEY,
                )
            }
            for action, summary in ACTIONS.items()
        },
    }


ACTIONS = {
    "cancel": "Call a conversion off, as an operator.",
    "retry": "Convert once more what failed through the server's fault.",
    "remove": "Forget a ticket.",
}

PERMISSION = (
    in_path("t", count("When the permission was given, in epoch seconds.")),
    in_path("token", text(f"Hex SHA-256 of the key followed by `t`; or `{BOUND}`, and the proof in `Authorization`.")),
    in_path("kid", count("The index of the key in `API_KEYS`.")),
)

FROM_ANYWHERE = {"Access-Control-Allow-Origin": {"const": "*"}}

UPLOADS: Part = {
    "/drop/{t}/{token}/{kid}": {
        "post": does(
            "Upload an archive.",
            {
                "200": gives(
                    "The upload's link; or why it was not taken.",
                    {"anyOf": [shape("Upload"), shape("Error")]},
                    headers=FROM_ANYWHERE,
                ),
                "400": gives("A number is too long.", text(), TEXT),
                "403": gives(
                    "No permission, no file, or uploads are not configured.", text(), HTML, headers=FROM_ANYWHERE
                ),
                "404": gives("Nothing is here.", text(), TEXT),
                "411": gives("The length is not said.", shape("Error"), headers=FROM_ANYWHERE),
                "413": gives("Too large.", shape("Error"), headers=FROM_ANYWHERE),
                "507": gives("There is no room.", shape("Error"), headers=FROM_ANYWHERE),
            },
            *PERMISSION,
            in_header("Authorization", "`Knossos <size>:<mac>`, or `Bearer <key>`, when the token is `-`."),
            body=takes("File", "multipart/form-data"),
        ),
        "options": does(
            "What browsers ask before they upload from another site.",
            {"200": gives("They may.", text(), ANY, headers=FROM_ANYWHERE), **NO_PAGE},
            *PERMISSION,
        ),
    },
}

WATCHED: Part = {
    "101": {"description": "The WebSocket is open."},
    "400": gives("This is no handshake.", text(), TEXT),
    "404": gives("Nothing is here.", text(), TEXT),
    "426": gives("This address is for WebSockets.", text(), HTML, {"Upgrade": {"const": "websocket"}}),
    "503": gives("The server ends; come back to the next one.", text(), TEXT),
}
RESUMED: Part = {
    "name": "after",
    "in": "query",
    "description": "The id of the last event that was seen.",
    "schema": {"type": "string"},
}

SOCKETS: Part = {
    "/ws/watcher/{ticket}": {"get": does("Watch a ticket.", WATCHED, BY_NUMBER, RESUMED)},
    "/ws/inter/{ticket}": {"get": does("Watch a ticket, and answer captchas.", WATCHED, BY_NUMBER, RESUMED)},
}


def _mirror(settings: Settings) -> Part:
    """A name below the mirror has slashes, which OpenAPI cannot say."""
    path = served_at(settings)
    if path is None:
        return {}
    answers = {
        "200": gives("The file.", {}, ANY, {"ETag": text(), "Accept-Ranges": {"const": "bytes"}}),
        "206": gives("The part.", {}, ANY, {"ETag": text(), "Content-Range": text()}),
        "304": {"description": "It is still what the client has."},
        "404": gives("There is no such file.", text(), TEXT),
        "416": gives("The file has no such part.", text(), TEXT),
    }
    conditions = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
    parameters = [in_path("name", text()), *(in_header(name, "As in RFC 9110.") for name in conditions)]
    summary = "A file of the mirror; slashes in its name are not escaped."
    return {f"{path}/{{name}}": {method: does(summary, answers, *parameters) for method in ("get", "head")}}


HEALTH: Part = {
    "/healthz": {"get": does("Whether this process answers.", {"200": gives("It does.", shape("Life"))})},
    "/readyz": {
        "get": does(
            "Whether a document that is submitted now would be converted.",
            {"200": gives("It would.", shape("Readiness")), "503": gives("It would not.", shape("Readiness"))},
        )
    },
}

FACTS: Part = {
    "/schema.json": {
        "get": does("The JSON Schema of a repo document.", {"200": gives("It.", {}, "application/schema+json")})
    },
    "/openapi.json": {"get": does("This document.", {"200": gives("It.", {"type": "object"})})},
}

PAGE: Part = {"200": gives("The page.", text(), HTML, {"Content-Security-Policy": text()})}

PAGES: Part = {
    "/": {"get": does("What this server is.", PAGE)},
    "/converter": {"get": does("Submit a document.", PAGE)},
    "/watch/{ticket}": {"get": does("Watch a ticket.", {**PAGE, **NO_PAGE}, BY_NUMBER)},
    "/tasks": {"get": does("Every ticket, for operators.", PAGE)},
    "/static/{name}": {
        "get": does(
            "A file of the pages, or the client that other sites embed.",
            {
                "200": gives("The file.", {}, ANY, FROM_ANYWHERE),
                "304": {"description": "It is still what the client has."},
                "404": gives("There is no such file.", text(), TEXT),
                "416": gives("The file has no such part.", text(), TEXT),
            },
            in_path("name", text()),
        )
    },
}
