"""HTTP and WebSocket on one gevent server, which shares nothing with other web processes but Redis and the mirror.

server.py   the process: begin here;  handler.py  connections, and what a client may take of us
app.py      all routes on one Bottle app, and what happens when one fails
clients.py  whom a request comes from;  throttle.py  slowing down who guesses keys
api.py      submitting, asking and retrieving;  forms.py  reading what is submitted;  access.py  who may
lookup.py   looking tickets up, for many at once
drop.py     uploads in one request;  chunked.py  in parts;  previews.py  what they hold;  mirror.py  serving the mirror
bodies.py   how large a request may be;  cors.py  what pages of other sites may ask
live.py     watching a ticket;  feed.py  one reader of events for all watchers;  socket.py  WebSockets
ops.py      whether this server is well;  disk.py  using the disk without waiting for it
monitor.py  what operators do;  screen.py  what they see, live
overview.py one reader of that for all operators;  sections.py  what there is to see;  streaming.py  event streams
metrics.py  what Prometheus reads;  statistics.py  the last day, for plots
pages.py    the pages, with templates/;  assets.py  what they need, in static/ and from Bootstrap
fields.py   the page of a document's fields, out of its JSON Schema
openapi/    all routes, described for programs
"""
