"""Hosts that show a page with a captcha before they give out a file.

Such a page has a form with a picture and one field to fill in. Somebody who watches the conversion is shown the
picture, and the form is sent with what they typed.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

from knossosd.conversion.http import joined

MAX_PAGE = 1024 * 1024
"""Bytes of a page that are looked at."""

HINTS = ("captcha", "verification", "security code")
FILLED_IN = ("", "text", "number", "tel", "search")
SENT_ALONG = ("hidden", "submit")


@dataclass(slots=True)
class CaptchaForm:
    """A form with a captcha. `image` and `action` are absolute links."""

    action: str
    method: str
    image: str
    answer_field: str
    other_fields: dict[str, str]

    def filled_in(self, answer: str) -> tuple[str, str, bytes | None]:
        """The method, link and body that send the `answer`."""
        fields = urlencode({**self.other_fields, self.answer_field: answer})
        if self.method == "POST":
            return "POST", self.action, fields.encode()
        return "GET", f"{self.action.partition('?')[0]}?{fields}", None


def find_captcha(page: bytes, url: str) -> CaptchaForm | None:
    """The captcha form on the HTML `page` that was served at `url`, None when it has none.

    Raises `InputFault` when the form's links cannot be read.
    """
    reader = _FormReader()
    with suppress(AssertionError):  # how the parser gives up; what it has seen until then counts
        reader.feed(page[:MAX_PAGE].decode(errors="replace"))
    for form in reader.forms:
        if form.image and len(form.text_fields) == 1:
            return CaptchaForm(
                joined(url, form.action), form.method, joined(url, form.image), form.text_fields[0], form.sent_along
            )
    return None


@dataclass(slots=True)
class _Form:
    action: str
    method: str
    image: str | None = None
    text_fields: list[str] = field(default_factory=list)
    sent_along: dict[str, str] = field(default_factory=dict)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._open: _Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = _Form(attributes.get("action", ""), attributes.get("method", "get").upper())
            self.forms.append(self._open)
        elif self._open is None:
            return
        elif tag == "img" and any(hint in " ".join(attributes.values()).lower() for hint in HINTS):
            self._open.image = attributes.get("src")
        elif tag == "input" and (name := attributes.get("name")):
            kind = attributes.get("type", "").lower()
            if kind in FILLED_IN:
                self._open.text_fields.append(name)
            elif kind in SENT_ALONG:
                self._open.sent_along[name] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
