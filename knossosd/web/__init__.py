"""HTTP and WebSocket on one gevent server, which shares nothing with other web processes but Redis and the mirror.

server.py   the process: begin here
app.py      all routes on one Bottle app, and what happens when one fails
api.py      submitting, asking and retrieving;  forms.py  reading what is submitted;  access.py  who may
lookup.py   looking tickets up, for many at once
drop.py     uploads;  previews.py  what they hold;  mirror.py  serving the mirror
live.py     watching a ticket;  feed.py  one reader of events for all watchers;  socket.py  WebSockets
ops.py      whether this server is well;  disk.py  how much room there is
monitor.py  what operators do;  screen.py  what they see, live
overview.py one reader of that for all operators;  sections.py  what there is to see;  streaming.py  event streams
metrics.py  what Prometheus reads;  statistics.py  the last day, for plots
pages.py    the pages, with templates/;  assets.py  what they need, in static/ and from Bootstrap
fields.py   the page of a document's fields, out of its JSON Schema
"""
