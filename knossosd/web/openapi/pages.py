"""Pages for people, and facts for programs."""

from knossosd.web.openapi.shapes import text
from knossosd.web.openapi.writing import ANY, BY_NUMBER, FROM_ANYWHERE, HTML, NO_PAGE, TEXT, Part, does, gives, in_path

FACTS: Part = {
    "/schema.json": {
        "get": does("The JSON Schema of a repo document.", {"200": gives("It.", {}, "application/schema+json")})
    },
    "/openapi.json": {"get": does("This document.", {"200": gives("It.", {"type": "object"})})},
}

PAGE: Part = {"200": gives("The page.", text(), HTML, {"Content-Security-Policy": text()})}

ASSET: Part = {
    "200": gives("The file.", {}, ANY, {**FROM_ANYWHERE, "ETag": text(), "Cache-Control": text()}),
    "304": {"description": "It is still what the client has."},
    "404": gives("There is no such file.", text(), TEXT),
}

PAGES: Part = {
    "/": {"get": does("What this server is.", PAGE)},
    "/converter": {"get": does("Submit a document.", PAGE)},
    "/watch/{ticket}": {"get": does("Watch a ticket.", {**PAGE, **NO_PAGE}, BY_NUMBER)},
    "/tasks": {"get": does("Every ticket, for operators.", PAGE)},
    "/docs/document": {"get": does("Every field of a document.", PAGE)},
    "/docs/embed": {"get": does("How another site shows a conversion.", PAGE)},
    "/static/{name}": {
        "get": does("A file of the pages, or the client that other sites embed.", ASSET, in_path("name", text()))
    },
    "/static/{edition}/{name}": {
        "get": does(
            "The same, as the pages name it.",
            ASSET,
            in_path("edition", text("It changes when any of the files does, so browsers keep them for good.")),
            in_path("name", text()),
        )
    },
}
