"""Reading what a client submits, up to a limit, whichever way it is written.

Bottle refuses forms of more than 100 KB and keeps whole bodies twice; a repo document is larger than that, so the
body is read here.
"""

import io
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import multipart

MAX_FIELDS = 20
NUMBER = re.compile(r"[0-9]{1,20}")


class FormError(Exception):
    """The body cannot be used; the message says why."""


class FormTooLarge(FormError):
    """The body is longer than it may be."""


def read_form(environ: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """The fields of the request's body: a form, urlencoded or multipart, or a JSON object.

    Values of forms are text. Raises `FormTooLarge` when the body has more than `limit` bytes, before it is read when it
    says so, and `FormError` when it is none of the three.
    """
    body = _read(environ, limit)
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return _json(body)
        if kind == "multipart/form-data":
            return _multipart(environ, body)
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, strict_parsing=False))
    except (ValueError, RecursionError) as error:
        raise FormError(f"The request cannot be read: {error}.") from error


def whole_number(text: str) -> int | None:
    """The number that `text` writes in a few digits; None when it is none, or so long that Python refuses it."""
    return int(text) if NUMBER.fullmatch(text) else None


def _read(environ: Mapping[str, Any], limit: int) -> bytes:
    length = whole_number(environ.get("CONTENT_LENGTH") or "0")
    if length is None or length > limit:
        raise FormTooLarge(f"The request has more than {limit} bytes.")
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1)
    except OSError as error:  # what pywsgi raises when the client leaves
        raise FormError("The request was cut off.") from error
    if len(body) > limit:
        raise FormTooLarge(f"The request has more than {limit} bytes.")
    return body


def _json(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise FormError("The request must be a JSON object.")
    return value


def _multipart(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    fields, files = multipart.parse_form_data(
        {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))},
        strict=True,
        memory_limit=len(body) + 1,
        spool_limit=len(body) + 1,
        part_limit=MAX_FIELDS,
    )
    return {**{name: files[name].value for name in files}, **{name: fields[name] for name in fields}}
