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
