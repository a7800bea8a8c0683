"""Links in a document: what a link may look like, and how it is written so that every client reads it."""

import re
from urllib.parse import quote, urlsplit

WEB_SCHEMES = frozenset({"http", "https"})

UNSAFE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[A-Za-z0-9:.%]+\])(:[0-9]*)?")
"""What all who read a link take for the same host and port."""

KEPT = "/:?#[]@!$&'()*+,;=%-._~"
"""Characters that mean something in a URL, or escape something; everything else is percent-encoded."""


def check_link(link: str, schemes: frozenset[str] = WEB_SCHEMES) -> str:
    """The absolute link, with spaces and letters beyond ASCII escaped. Raises ValueError with the reason."""
    link = link.strip()
    try:
        parts = urlsplit(link)
        port = parts.port
    except ValueError:
        raise ValueError("is not a link that can be read") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must be a link that starts with {' or '.join(f'{one}://' for one in sorted(schemes))}")
    if parts.scheme != "file" and (not parts.hostname or port == 0):
        raise ValueError("must be a link with a host name")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password")
    if UNSAFE.search(link.replace(" ", "")):
        raise ValueError("must not contain control characters")
    start = link.find("://")
    if start < 0:
        raise ValueError("is not a link that can be read")
    host = _ascii_host(parts.netloc) if parts.netloc else ""
    return f"{parts.scheme}://{host}" + quote(link[start + 3 + len(parts.netloc) :], safe=KEPT)


def join_link(base: str, filename: str) -> str:
    """The link of `filename` below `base`, as the short form of a document's `files` means it."""
    return (base if base.endswith("/") else base + "/") + quote(filename)


def is_web_link(text: str) -> bool:
    """Whether `text` is an absolute http or https link."""
    try:
        check_link(text)
    except ValueError:
        return False
    return True


def _ascii_host(netloc: str) -> str:
    host, colon, port = netloc.partition(":")
    try:
        written = netloc if netloc.isascii() else host.encode("idna").decode("ascii") + colon + port
    except UnicodeError:
        written = ""
    if not HOST.fullmatch(written):
        raise ValueError("has a host name that cannot be read")
    return written
