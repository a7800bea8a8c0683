"""Uploads, what they hold, and the mirror."""

from knossosd.settings import Settings
from knossosd.web.drop import BOUND
from knossosd.web.mirror import served_at
from knossosd.web.openapi.shapes import SHA256, count, shape, text
from knossosd.web.openapi.writing import (
    ANY,
    FORMS,
    FROM_ANYWHERE,
    HTML,
    JSON,
    KEY,
    LATER,
    NO_PAGE,
    TEXT,
    THROTTLED,
    Part,
    does,
    gives,
    gives_either,
    in_header,
    in_path,
    takes,
)

PERMISSION = (
    in_path("t", count("When the permission was given, in epoch seconds.")),
    in_path("token", text(f"Hex SHA-256 of the key followed by `t`; or `{BOUND}`, and the proof in `Authorization`.")),
    in_path("kid", count("The index of the key in `API_KEYS`.")),
)

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
                "429": gives_either(
                    gives("The key has reached its quota.", shape("Error"), headers=LATER | FROM_ANYWHERE), THROTTLED
                ),
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

PREVIEW: Part = {
    "200": gives("What the upload holds.", shape("Preview")),
    "202": gives("There is none yet.", shape("NoPreview")),
    "403": gives("No key that may upload.", text(), HTML),
    "404": gives("No such upload.", shape("Error")),
}
BY_SHA256 = in_path("sha256", SHA256)

PREVIEWS: Part = {
    "/api/uploads/{sha256}/preview": {
        "get": does("What an upload holds.", PREVIEW, BY_SHA256, key=KEY),
        "post": does(
            "The same, and have it read if there is nothing yet.",
            {**PREVIEW, "400": gives("No file can have this name.", shape("Error"))},
            BY_SHA256,
            body=takes("Named", *FORMS, JSON),
            key=KEY,
        ),
    },
}


def mirror(settings: Settings) -> Part:
    """The routes of the mirror, if it is for us to serve it. Its names have slashes, which OpenAPI cannot say."""
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
