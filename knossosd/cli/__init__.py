"""The command line: one verb per thing that people do. Every verb is thin and calls the rooms.

app.py       all verbs, their help and their exit codes: begin here
convert.py   converting in the foreground;  check.py  only validating;  schema in app.py
submit.py    sending a document to a server, watching and retrieving;  upload.py  an archive
client.py    the server's HTTP API
display.py   progress on the terminal;  documents.py  reading and writing documents
groups.py    the verbs that come in groups;  tickets.py, webhooks.py, keys.py  what they do;
             reach.py  whether they can
doctor.py    whether this installation is in order;  logs.py  what all programs have logged
cache.py     what is remembered, and what does not stay;  verify.py  whether the mirror has what was published
setup.py     making an installation ready;  serving in app.py
"""

from knossosd.cli.app import main

__all__ = ["main"]
