"""What operators, and those who watch over the server, ask and do."""

from knossosd.settings import Settings
from knossosd.web.openapi.shapes import shape
from knossosd.web.openapi.writing import BY_NUMBER, KEY, NO_KEY, NO_NUMBER, NO_REDIS, Part, does, gives

HEALTH: Part = {
    "/healthz": {"get": does("Whether this process answers.", {"200": gives("It does.", shape("Life"))})},
    "/readyz": {
        "get": does(
            "Whether a document that is submitted now would be converted.",
            {"200": gives("It would.", shape("Readiness")), "503": gives("It would not.", shape("Readiness"))},
        )
    },
}

ACTIONS = {
    "cancel": "Call a conversion off, as an operator.",
    "retry": "Convert once more what failed through the server's fault.",
    "remove": "Forget a ticket.",
}


def monitor(settings: Settings) -> Part:
    """The routes of the monitor, which asks for a key unless it is open."""
    return {
        "/api/list_tasks": {
            "get": does(
                "Every ticket.",
                {"200": gives("All of them.", shape("Tasks")), **NO_KEY, **NO_REDIS},
                key=[*KEY, {}] if settings.open_monitor else KEY,
            )
        },
        **{
            f"/api/tasks/{{ticket}}/{action}": {
                "post": does(
                    summary,
                    {
                        "200": gives("Done, if there was something to do.", shape("Deed")),
                        **NO_KEY,
                        **NO_NUMBER,
                        **NO_REDIS,
                    },
                    BY_NUMBER,
                    key=KEY,
                )
            }
            for action, summary in ACTIONS.items()
        },
    }
