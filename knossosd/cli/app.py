"""All verbs of `python knossosd.py`.

What a verb needs is imported when it runs: `--help` and `check` are quick, and `serve` imports nothing that gevent has
to replace first.
"""

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from knossosd.cli import groups
from knossosd.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from knossosd.settings import Settings

EPILOG = (
    "[bold]Exit codes[/bold]: 0 done, 1 the conversion failed, 2 the document or the call is not valid, "
    "3 the server cannot be reached, 4 the key is not known, 130 interrupted"
)

app = typer.Typer(
    name="knossosd.py",
    help="Turns repo documents of FreeSpace Open mods into generated repo documents.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MODDERS, OPERATORS, PROGRAMS = "For modders", "For operators", "Started by the supervisor"

Source = Annotated[Path, typer.Argument(metavar="IN", help="The repo document; - for standard input.")]
Target = Annotated[
    Path, typer.Argument(metavar="OUT", help="Where the generated document goes; - for standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show neither progress nor log.")]
UseCache = Annotated[bool, typer.Option("--cache/--no-cache", help="Use what earlier conversions found out.")]
ServerUrl = Annotated[str, typer.Option("--server", envvar="KNOSSOSD_SERVER", help="Address of the server.")]
ApiKey = Annotated[str, typer.Option(envvar="KNOSSOSD_KEY", help="API key; better given in the environment.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would go.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

LOCAL_SERVER = "http://localhost:8080"

app.add_typer(groups.tickets, name="tickets", rich_help_panel=OPERATORS)
app.add_typer(groups.webhooks, name="webhooks", rich_help_panel=OPERATORS)
app.add_typer(groups.keys, name="keys", rich_help_panel=OPERATORS)


def main() -> None:
    """Run the command line, and end the process with one of `Exit`."""
    try:
        app()
    except Stop as stop:
        Console(stderr=True, highlight=False).print(f"[red]{escape(str(stop))}[/red]", soft_wrap=True)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(Exit.INTERRUPTED)


@app.command(rich_help_panel=MODDERS)
def convert(
    source: Source,
    target: Target,
    mirror: Annotated[Path | None, typer.Option(help="Copy the archives into this folder.")] = None,
    mirror_url: Annotated[str | None, typer.Option(help="Public link of that folder.")] = None,
    cache: UseCache = True,
    quiet: Quiet = False,
) -> None:
    """Convert a document here and now, without a server.

    Links may also be paths of local files. Without settings of its own, nothing is mirrored.

    Example: [cyan]python knossosd.py convert mod.json generated.json[/cyan]
    """
    from knossosd import privileges
    from knossosd.cli import convert as verb
    from knossosd.settings import Settings, SettingsError, load, parse, settings_file

    try:
        settings = load(settings_file()) if settings_file().exists() else Settings()
        privileges.drop(settings)
        if mirror or mirror_url:
            chosen = {"MIRROR_PATH": mirror and mirror.absolute(), "MIRROR_URL": mirror_url}
            settings = parse(chosen, "--mirror and --mirror-url")
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None
    verb.run(source, target, settings, quiet=quiet, cache=cache)


@app.command(rich_help_panel=MODDERS)
def submit(
    source: Source,
    target: Target,
    key: ApiKey,
    server: ServerUrl = LOCAL_SERVER,
    cache: UseCache = True,
    quiet: Quiet = False,
) -> None:
    """Convert a document on a server, and watch it live.

    Local files that the document names are uploaded first.

    Example: [cyan]KNOSSOSD_KEY=… python knossosd.py submit mod.json generated.json --server https://host[/cyan]
    """
    from knossosd.cli import submit as verb
    from knossosd.cli.client import Server

    verb.run(source, target, Server(server, key), quiet=quiet, cache=cache)


@app.command(rich_help_panel=MODDERS)
def upload(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="An archive.")],
    key: ApiKey,
    server: ServerUrl = LOCAL_SERVER,
    quiet: Quiet = False,
) -> None:
    """Upload an archive to a server, and print its link, for documents.

    A large one is sent in parts: do the same again after a break, and only what is missing is sent.

    Example: [cyan]KNOSSOSD_KEY=… python knossosd.py upload core.7z --server https://host[/cyan]
    """
    from knossosd.cli import upload as verb
    from knossosd.cli.client import Server

    verb.run(path, Server(server, key), quiet=quiet)


@app.command(rich_help_panel=MODDERS)
def status(
    ticket: Annotated[int, typer.Argument(help="The ticket's number.")],
    server: ServerUrl = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Show how a conversion is doing."""
    from knossosd.cli.client import Server

    found = Server(server, None).status(ticket)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name in ("state", "position", "progress", "success", "runtime", "attempt", "text"):
        if found.get(name) not in (None, ""):
            typer.echo(f"{name:9} {found[name]}")


@app.command(rich_help_panel=MODDERS)
def check(source: Source, as_json: AsJson = False) -> None:
    """Check whether a document is valid, without fetching anything."""
    from knossosd.cli.documents import LOCAL_SCHEMES, read_text, with_file_links
    from knossosd.repo.document import DocumentLimits, InvalidDocument, parse
    from knossosd.settings import Settings

    text = with_file_links(read_text(source), source.resolve().parent)
    try:
        warnings = parse(text, DocumentLimits.from_settings(Settings()), schemes=LOCAL_SCHEMES).warnings
        problems = []
    except InvalidDocument as fault:
        warnings, problems = (), [problem.as_json() for problem in fault.problems]
    if as_json:
        typer.echo(json.dumps({"errors": problems, "warnings": [warning.as_json() for warning in warnings]}))
    else:
        for problem in problems:
            typer.echo(f"{problem['path']}: {problem['message']}".removeprefix(": "))
        for warning in warnings:
            typer.echo(f"warning: {warning}")
        typer.echo(f"{source} is {'not ' if problems else ''}valid.")
    if problems:
        raise typer.Exit(Exit.INVALID)


@app.command(rich_help_panel=MODDERS)
def schema() -> None:
    """Print the JSON Schema of a repo document."""
    from knossosd.repo.document import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command(rich_help_panel=OPERATORS)
def doctor(as_json: AsJson = False) -> None:
    """Look whether this installation is in order."""
    from dataclasses import asdict

    from knossosd.cli.doctor import examine

    checks = list(examine())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in checks]))
    else:
        console = Console(highlight=False)
        for one in checks:
            mark = "[green]right[/green]" if one.is_right else "[red]wrong[/red]"
            console.print(f"{mark}  {one.what:12} {escape(one.found)}", soft_wrap=True)
            if not one.is_right and one.hint:
                console.print(f"{'':20} → {escape(one.hint)}", soft_wrap=True)
    if not all(one.is_right for one in checks):
        raise typer.Exit(Exit.FAILED)


@app.command(rich_help_panel=OPERATORS)
def logs(
    ticket: Annotated[int | None, typer.Option(help="Only what is about this ticket.")] = None,
    level: Annotated[LogLevel, typer.Option(help="The lowest level that is shown.", case_sensitive=False)] = "INFO",
    lines: Annotated[int | None, typer.Option(min=0, help="The newest so many; 200, or all of a ticket.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on.")] = False,
) -> None:
    """Show what all programs have logged, in order of time.

    Example: [cyan]python knossosd.py logs --level WARNING --follow[/cyan]
    """
    from knossosd.cli import logs as verb
    from knossosd.settings import VAR

    wanted = verb.Wanted(ticket, logging.getLevelNamesMapping()[level])
    verb.show(VAR / "log", wanted, lines=lines, follow=follow)


@app.command(rich_help_panel=OPERATORS)
def cache(as_json: AsJson = False) -> None:
    """Show what is remembered of earlier conversions."""
    from knossosd.cli import cache as verb

    verb.show(_settings(), as_json)


@app.command(rich_help_panel=OPERATORS)
def forget(dry_run: DryRun = False) -> None:
    """Forget all that is remembered of earlier conversions. Published archives stay.

    Archives that no mod published stay as well while they are protected (STORE_PROTECTION).
    """
    from knossosd.cli import cache as verb

    (verb.would_forget if dry_run else verb.forget)(_settings())


@app.command(rich_help_panel=OPERATORS)
def tidy(dry_run: DryRun = False) -> None:
    """Remove what does not stay: work that was left behind, unused uploads, what is remembered for too long.

    The server does the same every ten minutes.
    """
    from knossosd.cli import cache as verb

    (verb.would_tidy if dry_run else verb.tidy)(_settings())


@app.command(rich_help_panel=OPERATORS)
def verify(
    everything: Annotated[bool, typer.Option("--all", help="Read everything, not only a night's part.")] = False,
    repair: Annotated[bool, typer.Option("--repair/--no-repair", help="Repair what is damaged.")] = True,
    as_json: AsJson = False,
) -> None:
    """Read what was published again, and repair what is damaged. Exits with 1 when anything was.

    The server does the same every night, with as much as VERIFY_SIZE says.
    """
    from knossosd.cli import verify as verb

    verb.run(_settings(), everything=everything, repair=repair, as_json=as_json)


@app.command(rich_help_panel=OPERATORS)
def setup(
    port: Annotated[int | None, typer.Option(help="Port for a fresh settings file.", min=1, max=65535)] = None,
) -> None:
    """Make a checkout ready: settings with a drawn key, and var/."""
    from knossosd.cli import setup as verb

    verb.run(port)
    typer.echo(verb.announce())


@app.command(rich_help_panel=PROGRAMS)
def serve() -> None:
    """Serve HTTP and WebSocket."""
    # gevent has to come before everything that opens sockets.
    from knossosd.web import server

    server.serve(_settings_of_program("web"))


@app.command(rich_help_panel=PROGRAMS)
def redis() -> None:
    """Run the embedded Valkey server, unless the settings name another one."""
    from knossosd import embedded

    raise typer.Exit(embedded.run(_settings_of_program("redis")))


def _settings() -> "Settings":
    """The settings, for a verb that does what the programs do, and as whom they do it."""
    from knossosd import privileges
    from knossosd.settings import SettingsError, current

    try:
        privileges.drop(current())
        return current()
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None


def _settings_of_program(name: str) -> "Settings":
    """The settings, for a program that logs from now on."""
    from knossosd import logs, privileges
    from knossosd.settings import SettingsError, current

    logs.set_up(name)
    try:
        logs.hide(current().api_keys)
        privileges.begin(current())
    except SettingsError as error:
        logging.getLogger(__name__).critical("%s", error)
        raise typer.Exit(Exit.INVALID) from None
    return current()
