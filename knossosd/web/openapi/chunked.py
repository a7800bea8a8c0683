"""Uploads in parts."""

from knossosd.web.chunked import LONGEST_WAIT
from knossosd.web.openapi.shapes import SHA256, count, shape, text
from knossosd.web.openapi.writing import (
    ANY,
    FORMS,
    FROM_ANYWHERE,
    JSON,
    KEY_OR_NOT,
    LATER,
    THROTTLED,
    TOKEN,
    Part,
    does,
    gives,
    gives_either,
    in_path,
    in_query,
    takes,
)

ERROR, UPLOAD = shape("Error"), shape("UploadInParts")

DESCRIBED = {"200": gives("The upload.", UPLOAD, headers=FROM_ANYWHERE)}
NO_ROOM = {"507": gives("There is no room.", ERROR, headers=FROM_ANYWHERE)}
NOT_FOUND = {
    "403": gives("Not the token of the upload.", ERROR, headers=FROM_ANYWHERE),
    "404": gives("No such upload, or no such part.", ERROR, headers=FROM_ANYWHERE),
}
PREFLIGHT: Part = {
    "200": gives("They may.", text(), ANY, headers=FROM_ANYWHERE),
    "400": gives("The number is too long.", ERROR, headers=FROM_ANYWHERE),
    "404": gives("Nothing is here.", ERROR, headers=FROM_ANYWHERE),
}

BY_ID = in_path("upload", text("The id of the upload.", pattern="^[0-9a-f]{16}$"))
BY_PART = in_path("number", count("The number of the part, from 0."))


def _preflight(*parameters: Part) -> Part:
    return does("What browsers ask before they upload from another site.", PREFLIGHT, *parameters)


CHUNKED: Part = {
    "/api/chunked": {
        "post": does(
            "Begin an upload in parts, or find the one that was begun with the same checksum.",
            {
                **DESCRIBED,
                **NO_ROOM,
                "400": gives("What is announced makes no sense.", ERROR, headers=FROM_ANYWHERE),
                "403": gives("No key that may upload, or uploads are not configured.", ERROR, headers=FROM_ANYWHERE),
                "413": gives("The file, or the request, is too large.", ERROR, headers=FROM_ANYWHERE),
                "429": gives_either(
                    gives("The key has reached its quota.", ERROR, headers=LATER | FROM_ANYWHERE), THROTTLED
                ),
            },
            body=takes("Announcement", *FORMS, JSON),
            key=KEY_OR_NOT,
        ),
        "options": _preflight(),
    },
    "/api/chunked/{upload}": {
        "get": does(
            "How an upload is doing.",
            {**DESCRIBED, **NOT_FOUND},
            BY_ID,
            in_query("wait", count(f"While it is FINISHING, wait so many seconds, at most {LONGEST_WAIT}.")),
            key=TOKEN,
        ),
        "delete": does(
            "Give an upload up. A file that is DONE stays.",
            {"200": gives("Nothing of it is left.", shape("Success"), headers=FROM_ANYWHERE), **NOT_FOUND},
            BY_ID,
            key=TOKEN,
        ),
        "options": _preflight(BY_ID),
    },
    "/api/chunked/{upload}/parts/{number}": {
        "put": does(
            "Send a part.",
            {
                "200": gives("It is there.", shape("SentPart"), headers=FROM_ANYWHERE),
                **NOT_FOUND,
                **NO_ROOM,
                "400": gives("The part has another length, or its sha256 is not said.", ERROR, headers=FROM_ANYWHERE),
                "409": gives("The upload takes no parts any more.", ERROR, headers=FROM_ANYWHERE),
                "415": gives("This is no archive.", shape("RefusedPart"), headers=FROM_ANYWHERE),
                "422": gives("It came damaged; send it again.", shape("RefusedPart"), headers=FROM_ANYWHERE),
            },
            BY_ID,
            BY_PART,
            {**in_query("sha256", SHA256), "required": True},
            body={"required": True, "content": {"application/octet-stream": {"schema": {}}}},
            key=TOKEN,
        ),
        "options": _preflight(BY_ID, BY_PART),
    },
    "/api/chunked/{upload}/finish": {
        "post": does(
            "All parts are there: have the file read and published.",
            {
                **DESCRIBED,
                **NOT_FOUND,
                "409": gives("Parts are missing.", shape("MissingParts"), headers=FROM_ANYWHERE),
            },
            BY_ID,
            key=TOKEN,
        ),
        "options": _preflight(BY_ID),
    },
}
