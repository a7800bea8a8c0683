"""HTTP and WebSocket on one gevent server, which shares nothing with other web processes but Redis and the mirror.

server.py   the process: begin here;  handler.py  connections, and what a client may take of us
app.py      all routes on one Bottle app, and what happens when one fails
clients.py  whom a request comes from;  throttle.py  slowing down who guesses keys
api.py      submitting, asking and retrieving;  forms.py  reading what is submitted;  access.py  who may
lookup.py   looking tickets up, for many at once
drop.py     uploads;  mirror.py  serving the mirror
live.py     watching a ticket;  feed.py  one reader of events for all watchers;  socket.py  WebSockets
ops.py      whether this server is well;  disk.py  how much room there is
pages.py    the pages, with templates/ and static/
"""
