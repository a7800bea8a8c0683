"""From the text of a repo document to mods that can be converted.

A document is read in three steps: the text is JSON, every value is right where it stands (`schema.py`), and the values
fit together. The first step that finds problems reports all of its problems at once, each with its path.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from knossosd.faults import Code, Finding, InputFault
from knossosd.repo.models import Repo
from knossosd.repo.schema import FORMS, Written, WrittenRepo, json_schema
from knossosd.repo.understand import Understanding
from knossosd.repo.urls import WEB_SCHEMES
from knossosd.settings import Settings

__all__ = ["DocumentLimits", "InvalidDocument", "Problem", "Reading", "json_schema", "parse"]

MAX_PROBLEMS = 100
"""Problems that are told one by one. Who has more sees the pattern by then."""

MAX_WARNINGS = 500
"""Warnings about a document that are told one by one, for the same reason."""


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """How large a document may be: bytes of its text, number of mods, number of files in all mods."""

    max_size: int
    max_mods: int
    max_files: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.max_document_size, settings.max_mods, settings.max_files)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document, and the path to it, such as `mods[0].packages[2].files[0].urls`."""

    path: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"path": self.path, "message": self.message}

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidDocument(InputFault):
    """The document cannot be converted; `problems` says everything that is wrong with it."""

    def __init__(self, code: Code, problems: list[Problem]) -> None:
        left_out = len(problems) - MAX_PROBLEMS
        told = problems[:MAX_PROBLEMS]
        if left_out > 0:
            told.append(Problem("", f"… and {left_out} more problems"))
        first = f"The document is not valid: {told[0]}."
        super().__init__(code, first if len(problems) == 1 else f"{first} (and {len(problems) - 1} more)")
        self.problems = tuple(told)


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that was understood, and what a modder should know about it."""

    repo: Repo
    warnings: tuple[Finding, ...]


def parse(text: str | bytes, limits: DocumentLimits, *, schemes: frozenset[str] = WEB_SCHEMES) -> Reading:
    """Read a repo document; links must have one of the `schemes`.

    Raises `InvalidDocument` with the code NOT_JSON, DOCUMENT_TOO_LARGE or INVALID_DOCUMENT.
    """
    value = _load(text, limits)
    single = (
        isinstance(value, dict) and "mods" not in value and any(key in value for key in ("id", "title", "packages"))
    )
    whole = {"mods": [value]} if single else value
    _check_size(whole, limits)
    paths = _Paths("mods[0]" if single else "")
    try:
        written = WrittenRepo.model_validate(whole, context={"schemes": schemes})
    except ValidationError as error:
        problems = [Problem(paths.write(one["loc"]), _in_words(one)) for one in error.errors(include_url=False)]
        raise InvalidDocument(Code.INVALID_DOCUMENT, problems) from None
    understanding = Understanding(written)
    if understanding.problems:
        problems = [Problem(paths.write(place), message) for place, message in understanding.problems]
        raise InvalidDocument(Code.INVALID_DOCUMENT, problems)
    unknown = [_unknown(paths.write(place)) for place in _unknown_fields(written)]
    warnings = unknown[:MAX_WARNINGS] + understanding.warnings[:MAX_WARNINGS]
    return Reading(understanding.repo, tuple(warnings))


def _load(text: str | bytes, limits: DocumentLimits) -> Any:
    if len(text) > limits.max_size:
        raise _too_large(f"The document is larger than {limits.max_size} bytes")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
        # Half a surrogate pair can be escaped in JSON but written in no file.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise _not_json("is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _not_json("is nested too deeply") from None
    except ValueError as error:
        raise _not_json(f"is not JSON: {error}") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f'"{name}" stands twice in the same object')
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


def _not_json(message: str) -> InvalidDocument:
    return InvalidDocument(Code.NOT_JSON, [Problem("", message)])


def _too_large(message: str) -> InvalidDocument:
    return InvalidDocument(Code.DOCUMENT_TOO_LARGE, [Problem("", message)])


def _check_size(value: Any, limits: DocumentLimits) -> None:
    """Count before anything is checked, so that a huge document costs little."""
    mods = value.get("mods") if isinstance(value, dict) else None
    if not isinstance(mods, list):
        return
    if len(mods) > limits.max_mods:
        raise _too_large(f"The document has {len(mods)} mods; at most {limits.max_mods} are converted at once")
    packages = [package for mod in mods for package in _list_in(mod, "packages")]
    files = sum(
        len(entry[1]) if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict) else 1
        for package in packages
        for entry in _list_in(package, "files")
    )
    if files > limits.max_files:
        raise _too_large(f"The document has {files} files; at most {limits.max_files} are converted at once")


def _list_in(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


class _Paths:
    """Writes places in the checked value as paths in the document that the modder wrote."""

    def __init__(self, added: str) -> None:
        self._added = added

    def write(self, place: tuple[int | str, ...]) -> str:
        path = ""
        for step in place:
            if isinstance(step, int):
                path += f"[{step}]"
            elif step not in FORMS and step != "[key]":
                path += f".{step}" if path else step
        return path.removeprefix(self._added).removeprefix(".")


WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "bool_type": "must be true or false",
    "too_short": "must not be empty",
}


def _in_words(error: Any) -> str:
    kind = error["type"]
    if kind in WORDS:
        return WORDS[kind]
    if kind == "literal_error":
        return f"must be {error['ctx']['expected']}".replace("'", '"')
    if kind == "too_long" and error["loc"][-1] == "includes":
        return "includes are not followed; send the mods themselves"
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def _unknown(path: str) -> Finding:
    return Finding(Code.UNKNOWN_FIELD, f"{path} is not a field that this server knows; it was left out.")


def _unknown_fields(value: Any, place: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    if isinstance(value, Written):
        for name in value.model_extra or {}:
            if name not in value.generated:
                yield (*place, name)
        for name, field in type(value).model_fields.items():
            yield from _unknown_fields(getattr(value, name), (*place, field.alias or name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _unknown_fields(item, (*place, index))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _unknown_fields(item, (*place, name))
    elif hasattr(value, "root"):
        yield from _unknown_fields(value.root, place)
