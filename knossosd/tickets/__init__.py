"""What Redis holds about conversions: the ticket record, its events, its lease and its result.

    record.py      a ticket as everybody reads it
    store.py       making, finding and removing tickets: the side of those who submit and ask
    execution.py   one worker's hold on a ticket: the side of those who convert
    events.py      the stream of events, for watchers now and later
    questions.py   captchas, asked by a conversion and answered by a watcher
    reaper.py      tickets whose worker vanished
    webhooks.py    telling the site that submitted
    workers.py     the processes that live
    keys.py        how the keys in Redis are named

The ticket record is the truth; the queue only wakes workers. Every key has a lifetime.
"""
