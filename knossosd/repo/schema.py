"""The repo document as it may be written, and its JSON Schema.

These models accept every documented form and say what is wrong with a value where it stands. What the values mean, and
what is wrong between them, is settled in `document.py`. Unknown fields are kept, to be warned about; fields that only
generated documents have are known, so that a generated document can be converted again.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StrictBool,
    Tag,
    ValidationInfo,
    model_validator,
)

from knossosd.repo.environment import check_expression
from knossosd.repo.names import MAX_LENGTH, is_inside, is_safe_component, tidy_path
from knossosd.repo.urls import WEB_SCHEMES, check_link
from knossosd.repo.versions import check_spec, complete_version

T = TypeVar("T")


def _rule(holds: Callable[[str], bool], message: str) -> AfterValidator:
    def check(text: str) -> str:
        if not holds(text):
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _check_link(text: str, info: ValidationInfo) -> str:
    return check_link(text, (info.context or {}).get("schemes", WEB_SCHEMES))


def _checked(check: Callable[[str], str]) -> AfterValidator:
    def validate(text: str) -> str:
        check(text)
        return text

    return AfterValidator(validate)


NOT_SAFE = (
    f'must work as a file name on every system: at most {MAX_LENGTH} characters, none of / \\ : * ? " < > |, '
    "no dot in front, no dot or space at the end"
)
NOT_INSIDE = 'must be a path inside the mod\'s folder, with "/" between its parts and no ".."'

Name = Annotated[str, _rule(lambda text: bool(text.strip()), "must not be empty")]
SafeName = Annotated[str, _rule(is_safe_component, NOT_SAFE)]
Path = Annotated[str, _rule(is_inside, NOT_INSIDE), AfterValidator(tidy_path)]
Target = Annotated[Path, _rule(bool, "must name something inside the mod's folder")]
FileName = Annotated[
    str, _rule(lambda text: all(is_safe_component(part) for part in text.split("/")), f"{NOT_SAFE} in each part")
]
Version = Annotated[str, _checked(complete_version)]
VersionSpec = Annotated[str, _checked(check_spec)]
Date = Annotated[str, _rule(_is_date, "must be a date such as 2024-12-31")]
Link = Annotated[str, AfterValidator(_check_link)]


class Written(BaseModel):
    """A part of a document. `generated` names fields that only generated documents have."""

    model_config = ConfigDict(
        extra="allow", frozen=True, model_title_generator=lambda model: model.__name__.removeprefix("Written")
    )
    generated: ClassVar[frozenset[str]] = frozenset()


class WrittenDependency(Written):
    id: Name = Field(description="Id of the mod that is needed.")
    version: VersionSpec | None = Field(None, description='Which versions will do, such as ">=1.2.3"; null for any.')
    packages: list[Name] | None = Field(
        None, description="Packages of that mod that are needed beyond the required ones."
    )


class WrittenExecutable(Written):
    generated = frozenset({"version"})

    file: Target = Field(description="The program, relative to the mod's folder.")
    label: str | None = Field(
        None, description='What kind of build it is, such as "debug"; null for the release build.'
    )
    debug: StrictBool | None = Field(None, description="Older word for the label: whether it is a debug build.")
    properties: dict[str, Any] | None = Field(None, description="CPU features that the build needs.")


class WrittenCondition(Written):
    """One condition of the list form of "environment"."""

    type: Literal["os", "cpu_feature"] = Field(description="What the condition is about.")
    value: Annotated[str, _checked(check_expression)] = Field(description="Name of the system or CPU feature.")
    negated: StrictBool = Field(False, alias="not", description="Whether the condition must not hold.")

    @model_validator(mode="after")
    def _known_system(self) -> "WrittenCondition":
        if self.type == "os" and self.value not in ("windows", "linux", "macos", "macosx"):
            raise ValueError('"value" must be windows, linux or macos')
        return self


class WrittenPlace(Written):
    """What both forms of "files" say about one file."""

    generated = frozenset({"filesize", "contents"})

    is_archive: StrictBool | None = Field(None, description="False for a plain file; it is not unpacked.")
    dest: Path | None = Field(None, description="Folder of the mod into which the file is unpacked or put.")
    md5sum: Any = Field(None, description="Ignored but for a warning when the content has changed.")
    checksum: Any = Field(None, description="Ignored but for a warning when the content has changed.")


class WrittenFile(WrittenPlace):
    """One file with its links."""

    filename: FileName = Field(description="Name of the archive or file; unique in its package.")
    urls: list[Link] = Field(min_length=1, description="Links to the file itself, best first.")


class WrittenPair(RootModel[tuple[Annotated[list[Link], Field(min_length=1)], dict[FileName, WrittenPlace]]]):
    """Several files below the same links: a list of link beginnings, and the files by name."""

    model_config = ConfigDict(title="Pair")


def _file_form(value: Any) -> str:
    return "pair" if isinstance(value, list | tuple | WrittenPair) else "file"


def _environment_form(value: Any) -> str:
    return "list" if isinstance(value, list) else "expression"


WrittenFiles = Annotated[
    Annotated[WrittenFile, Tag("file")] | Annotated[WrittenPair, Tag("pair")], Discriminator(_file_form)
]
WrittenEnvironment = Annotated[
    Annotated[list[WrittenCondition], Tag("list")]
    | Annotated[str, AfterValidator(check_expression), Tag("expression")],
    Discriminator(_environment_form),
]
FORMS = frozenset({"pair", "file", "list", "expression"})
"""Names of alternative forms, which stand in pydantic's paths but not in the document."""


class WrittenPackage(Written):
    generated = frozenset({"filelist", "check_notes"})

    name: Name = Field(description="Name of the package, unique in its mod.")
    notes: str | None = Field(None, description="Shown to players who choose packages.")
    status: Annotated[Literal["required", "recommended", "optional"], BeforeValidator(_lower)] | None = Field(
        None, description="Whether players need the package; recommended when left out."
    )
    dependencies: list[WrittenDependency] | None = Field(None, description="Other mods that the package needs.")
    environment: WrittenEnvironment | None = Field(
        None, description='Where the package runs, such as "windows && x86_64"; empty for everywhere.'
    )
    folder: SafeName | None = Field(None, description="Folder of the package in the mod's sources.")
    is_vp: StrictBool | None = Field(None, description="Whether the package's folder is packed as a .vp file.")
    executables: list[WrittenExecutable] | None = Field(None, description="Programs in the package.")
    files: list[WrittenFiles] | None = Field(None, description="The archives of the package.")


class WrittenAction(Written):
    type: Literal["delete", "move", "copy", "mkdir"] = Field(description="What is done.")
    paths: list[Target] = Field(min_length=1, description="What it is done to, relative to the mod's folder.")
    dest: Path | None = Field(None, description="Where files are moved or copied to.")
    glob: StrictBool | None = Field(None, description="Whether * ? [ ] in paths are wildcards; true when left out.")

    @model_validator(mode="after")
    def _needs_dest(self) -> "WrittenAction":
        if self.type in ("move", "copy") and self.dest is None:
            raise ValueError(f'"dest" is missing: a {self.type} action needs it')
        return self


class WrittenMod(Written):
    generated = frozenset({"owners", "members", "tags", "installed", "mod_source", "dev_mode", "custom_build"})

    id: SafeName = Field(description="Short name of the mod, unique and the same for all its versions.")
    title: Name = Field(description="Name of the mod as players see it.")
    version: Version = Field(description='Version of the mod, such as "1.2.3".')
    type: Annotated[Literal["mod", "tc", "engine", "tool", "ext", "addon"], BeforeValidator(_lower)] | None = Field(
        None, description="mod when left out; tc is a total conversion, engine a build of the game."
    )
    parent: SafeName | None = Field(
        None, description='Id of the total conversion that a mod is for; "FS2" when left out.'
    )
    stability: Annotated[Literal["stable", "rc", "nightly"], BeforeValidator(_lower)] | None = Field(
        None, description="How finished an engine build is."
    )
    private: StrictBool | None = Field(None, description="Whether only the mod's team may see it.")
    folder: Path | None = Field(None, description="Folder of the mod; its id when left out.")
    description: str | None = Field(None, description="What the mod is about.")
    notes: str | None = Field(None, description="Shown to players when they install the mod.")
    logo: str | None = Field(None, description="Logo of the mod.")
    tile: str | None = Field(None, description="Link to the mod's picture in lists.")
    banner: str | None = Field(None, description="Link to the picture on the mod's page.")
    screenshots: list[str] | None = Field(None, description="Links to pictures.")
    attachments: list[str] | None = Field(None, description="Links to further files.")
    videos: list[str] | None = Field(None, description="Links to videos.")
    release_thread: str | None = Field(None, description="Link to the forum.")
    first_release: Date | None = Field(None, description="Day of the first release.")
    last_update: Date | None = Field(None, description="Day of this release.")
    cmdline: str | None = Field(None, description="Command line options that the game gets.")
    mod_flag: list[Name] | None = Field(None, description="Ids of the mods that the game loads, in order.")
    packages: list[WrittenPackage] = Field(min_length=1, description="The parts that players can choose.")
    actions: list[WrittenAction] | None = Field(None, description="What is done to the files after unpacking.")


class WrittenRepo(Written):
    generated = frozenset({"generated"})

    mods: list[WrittenMod] = Field(min_length=1, description="The mods.")
    includes: list[Any] | None = Field(None, max_length=0, description="Not followed: send the mods themselves.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a repo document: one mod, or `mods`."""
    schema = RootModel[WrittenRepo | WrittenMod].model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "FreeSpace Open repo document",
        "description": "Mods, their packages and the archives of each package, with links.",
        **{name: value for name, value in schema.items() if name not in ("title", "description")},
    }
