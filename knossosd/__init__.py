"""knossosd turns repo documents of FreeSpace Open mods into generated repo documents.

A modder, or a web site on their behalf, sends a repo document: mods, their packages and the archives of each package
with links. knossosd fetches every archive, checks and hashes it and every file inside, works out where each file lands,
keeps a copy on the mirror and returns the generated document from which the Knossos clients install. Meanwhile anybody
who holds the ticket can watch.

The rooms, from the front doors down; each calls only rooms below it:

    cli/         the verbs of the command line
    web/         HTTP and WebSocket on one gevent server
    tasks.py     the two Huey queues and their thin tasks
    consumers.py what runs them;  messages.py  what stands in them;  couriers.py  threads that wait for sites
    converting.py  a ticket, to its end;  finishing.py  uploads that came in parts
    tickets/     what Redis holds: tickets, events, leases, results
    conversion/  one conversion, start to end, without a server: begin at pipeline.py
    repo/        the repo document: pure functions and types
    settings.py  every setting;  keyring.py  who may do what;  privileges.py  as whom we run
    faults.py    what can go wrong, as data
    logs.py      how every process logs;  parent.py  ending with who started it;  embedded.py  the Valkey server

Ideas that carry it: the ticket record is the truth and the queue only wakes workers; live events are one Redis stream
that late and live watchers read alike; archives are hashed while 7-Zip streams them, not unpacked to disk; what is
published is linked into place whole; failure is data that says what to do.
"""

__version__ = "0.1.0"
