"""What Redis holds: of a conversion the ticket record, its events, its lease and its result; of uploads their state.

    record.py      a ticket as everybody reads it
    store.py       making, finding and removing tickets: the side of those who submit and ask
    execution.py   one worker's hold on a ticket: the side of those who convert
    ending.py      how a ticket ends
    reaper.py      tickets that nobody sees to any more
    events.py      the stream of events, for watchers now and later
    questions.py   captchas, asked by a conversion and answered by a watcher
    outbox.py      webhook deliveries, until they are made;  webhooks.py  one attempt
    chunked.py     uploads that come in parts;  quota.py  how much a key may upload
    workers.py     the processes that live
    history.py     how the latest tickets ended;  changes.py  telling operators that something has changed
    measures.py    what is counted, and how;  statistics.py  what that says
    refusals.py    addresses that guess keys
    leases.py      what only some workers may hold at a time;  turns.py  what one does for all, each time
    keys.py        how the keys in Redis are named;  scripts.py  the steps that it takes as one
    connection.py  the way to Redis;  understanding.py  what other versions have written

The ticket record is the truth; the queue only wakes workers. Every key of ours has a lifetime;
the lists of Huey empty themselves.
"""
