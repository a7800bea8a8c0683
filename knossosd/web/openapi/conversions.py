"""Submitting documents, retrieving what came of them, and watching."""

from knossosd.web.openapi.shapes import shape, text
from knossosd.web.openapi.writing import (
    BY_NUMBER,
    FORMS,
    HTML,
    JSON,
    KEY_OR_NOT,
    LATER,
    NO_NUMBER,
    NO_REDIS,
    NO_TOKEN,
    TEXT,
    THROTTLED,
    Part,
    does,
    gives,
    gives_either,
    in_header,
    in_query,
    takes,
)
from knossosd.web.socket import VERSION

NOT_TAKEN: Part = {
    "403": gives("No known key.", text(), HTML),
    "413": gives("Too large.", shape("RefusedDocument")),
}

REFUSED_FOR_NOW: Part = {"anyOf": [shape("RefusedDocument"), shape("Error")]}

CONVERSIONS: Part = {
    "/api/converter/request": {
        "post": does(
            "Submit a repo document to be converted.",
            {
                "200": gives(
                    "The ticket; or what is wrong with the document, and nothing was queued.",
                    {"anyOf": [shape("Receipt"), shape("RefusedDocument")]},
                ),
                **NOT_TAKEN,
                "400": gives("The `Idempotency-Key` cannot be used.", shape("RefusedDocument")),
                "409": gives("The `Idempotency-Key` was used for another submission.", shape("RefusedDocument")),
                "429": gives(
                    "The key has reached its quota. " + THROTTLED["description"], REFUSED_FOR_NOW, headers=LATER
                ),
                "503": gives("The queue or the disk is full, or the database is away.", REFUSED_FOR_NOW, headers=LATER),
            },
            in_header(
                "Idempotency-Key",
                "The same submission with the same text gives the same ticket.",
                pattern="^[ -~]+$",
                maxLength=255,
            ),
            body=takes("Submission", *FORMS, JSON),
            key=KEY_OR_NOT,
        )
    },
    "/api/converter/check": {
        "post": does(
            "Say what is wrong with a repo document. Nothing is queued.",
            {
                "200": gives(
                    "What is wrong with it; or why the request cannot be read.",
                    {"anyOf": [shape("CheckedDocument"), shape("RefusedDocument")]},
                ),
                **NOT_TAKEN,
            },
            body=takes("Draft", *FORMS, JSON),
            key=KEY_OR_NOT,
        )
    },
    "/api/converter/get_status/{ticket}": {
        "get": does(
            "How a ticket is doing.",
            {"200": gives("Its state.", shape("Status")), **NO_NUMBER},
            BY_NUMBER,
        )
    },
    "/api/converter/retrieve": {
        "post": does(
            "The generated document of a ticket, as text, or why there is none.",
            {"200": gives("What became of it.", shape("Outcome")), **NO_TOKEN},
            body=takes("Claim", *FORMS, JSON),
        )
    },
    "/api/converter/cancel": {
        "post": does(
            "Call a conversion off.",
            {"200": gives("Whether it was called off.", shape("Cancellation")), **NO_TOKEN},
            body=takes("Claim", *FORMS, JSON),
        )
    },
}

WATCHED: Part = {
    "101": {"description": "The WebSocket is open."},
    "400": gives("This is no handshake.", text(), TEXT),
    "403": gives("Pages of this site may not watch.", text(), TEXT),
    "404": gives("Nothing is here.", text(), TEXT),
    "426": gives_either(
        gives("This address is for WebSockets,", text(), HTML, {"Upgrade": {"const": "websocket"}}),
        gives("of the version that is said.", text(), TEXT, {"Sec-WebSocket-Version": {"const": VERSION}}),
    ),
    "429": gives_either(gives("The address has enough of them.", text(), TEXT), THROTTLED),
    "503": gives_either(gives("The server ends; come back to the next one.", text(), TEXT), NO_REDIS),
}
RESUMED = in_query("after", text("The id of the last event that was seen."))

SOCKETS: Part = {
    "/ws/watcher/{ticket}": {"get": does("Watch a ticket.", WATCHED, BY_NUMBER, RESUMED)},
    "/ws/inter/{ticket}": {"get": does("Watch a ticket, and answer captchas.", WATCHED, BY_NUMBER, RESUMED)},
}
