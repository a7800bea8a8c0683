"""What is wrong in a conversion, and what is worth knowing: noted as it is noticed, and told at once."""

import logging

from knossosd.conversion.observer import Level, Observer
from knossosd.faults import Fault, Finding, ServerFault

log = logging.getLogger(__name__)


class Notes:
    """The findings of one conversion, in the order in which its threads come upon them, told to the `observer`."""

    def __init__(self, observer: Observer) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self._observer = observer

    def error(self, finding: Finding) -> None:
        """Note what fails the conversion."""
        self.errors.append(finding)
        self._observer.log(Level.ERROR, str(finding))

    def warning(self, finding: Finding) -> None:
        """Note what the modder should know."""
        self.warnings.append(finding)
        self._observer.log(Level.WARNING, str(finding))

    def fault(self, fault: Fault, finding: Finding) -> None:
        """Note the `finding` of a fault. Of one that is no fault of the mod's, the operator finds more in the log."""
        if isinstance(fault, ServerFault):
            log.error("%s", fault, exc_info=fault)
        self.error(finding)
