"""What operators, and those who watch over the server, ask and do."""

from knossosd.settings import Settings
from knossosd.web.openapi.shapes import shape, text
from knossosd.web.openapi.writing import (
    BY_NUMBER,
    KEY,
    KEY_OR_NOT,
    NO_KEY,
    NO_NUMBER,
    NOT_FROM_OTHER_SITES,
    TEXT,
    Part,
    does,
    gives,
    gives_either,
    in_header,
    in_path,
)

EVENTS = "text/event-stream"
NUMBERS = gives_either(
    gives("They, in the format of Prometheus,", text(), TEXT),
    gives("or in that of OpenMetrics.", text(), "application/openmetrics-text"),
)

HEALTH: Part = {
    "/healthz": {"get": does("Whether this process answers.", {"200": gives("It does.", shape("Life"))})},
    "/readyz": {
        "get": does(
            "Whether a document that is submitted now would be converted.",
            {
                "200": gives("It would.", shape("Readiness")),
                "503": gives("It would not.", {"anyOf": [shape("Readiness"), shape("Error")]}),
            },
        )
    },
}

DONE = gives("Done, if there was something to do.", shape("Deed"))

ACTIONS = {
    "cancel": "Call a conversion off, as an operator.",
    "retry": "Convert once more what failed through the server's fault.",
    "remove": "Forget a ticket.",
}


def monitor(settings: Settings) -> Part:
    """The routes of the monitor, which asks for a key unless it is open, and of the numbers."""
    to_look = KEY_OR_NOT if settings.open_monitor else KEY
    return {
        "/api/list_tasks": {
            "get": does("Every ticket.", {"200": gives("All of them.", shape("Tasks")), **NO_KEY}, key=to_look)
        },
        "/api/monitor": {
            "get": does(
                "What goes on, as it goes on.",
                {
                    "200": gives("Events that go on until one side ends them.", text(), EVENTS),
                    **NO_KEY,
                    **NOT_FROM_OTHER_SITES,
                },
                key=to_look,
            )
        },
        "/api/statistics": {
            "get": does(
                "The last day in slots.",
                {"200": gives("A list of numbers for each.", shape("Statistics")), **NO_KEY},
                key=to_look,
            )
        },
        "/metrics": {
            "get": does(
                "Counters, durations and gauges for Prometheus.",
                {"200": NUMBERS, **NO_KEY},
                in_header("Accept", "The format that is wanted."),
                key=KEY_OR_NOT if settings.metrics_networks else to_look,
            )
        },
        **{
            f"/api/tasks/{{ticket}}/{action}": {
                "post": does(summary, {"200": DONE, **NO_KEY, **NOT_FROM_OTHER_SITES, **NO_NUMBER}, BY_NUMBER, key=KEY)
            }
            for action, summary in ACTIONS.items()
        },
        "/api/webhooks/{delivery}/redeliver": {
            "post": does(
                "Have a webhook sent once more.",
                {
                    "200": DONE,
                    **NO_KEY,
                    **NOT_FROM_OTHER_SITES,
                    "404": gives("No such delivery.", shape("Error")),
                },
                in_path("delivery", text("The id of the delivery.")),
                key=KEY,
            )
        },
    }
