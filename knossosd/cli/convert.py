"""Converting a document in the foreground, without a server."""

from pathlib import Path

from knossosd.cli.display import Display, ForegroundObserver
from knossosd.cli.documents import read_document, write_result
from knossosd.cli.exits import Exit, Stop
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.links import LocalFiles
from knossosd.conversion.pipeline import convert
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import ServerFault
from knossosd.settings import Settings


def run(source: Path, target: Path, settings: Settings, *, quiet: bool, cache: bool) -> None:
    """Convert the document `source` and write the generated one to `target`; nothing is written on failure.

    Without `cache`, everything is fetched and read anew.
    """
    _, reading = read_document(source, settings)
    try:
        toolbox = Toolbox.from_settings(settings, LocalLeases(), LocalFiles())
    except ServerFault as fault:
        raise Stop(Exit.FAILED, str(fault)) from None
    if not cache:
        toolbox = toolbox.starting_over()
    with Display(quiet) as display:
        for warning in reading.warnings:
            display.log_line(f"WARNING: {warning}")
        outcome = convert(reading.repo, toolbox=toolbox, observer=ForegroundObserver(display))
    toolbox.memory.trim()
    if outcome.document is None:
        display.findings("Errors", outcome.errors, "red")
        raise Stop(Exit.FAILED, "The document was not converted.")
    write_result(target, outcome.document)
    display.log_line(f"INFO: Wrote {target}")
