"""One conversion, start to end; knows no HTTP server, no queue and no Redis.

pipeline.py   the stages in order: begin here
gathering.py  its first half: every file, fetched and read;  notes.py  what is wrong with them
toolbox.py    what a conversion works with;  leases.py  what only some may hold at a time
observer.py   what it tells and asks;  board.py  how far it is;  errand.py  how it is stopped

fetch.py      one file of a document, wherever it lies;  links.py  which links are ours, which are public
download.py   an archive from its links to a file;  captcha.py  hosts that ask first
transfer.py   one try of one link;  landing.py  the file that it writes
http.py       outgoing requests;  guard.py  which addresses they may reach;  busy.py  hosts that want to be left alone

archive.py    an archive's files with their checksums;  reading.py  the reading of one archive
streamed.py   from a stream;  compressed.py  from a tar or one compressed file;  unpacked.py  from the disk, at need
shares.py     what several processes can unpack side by side;  cores.py  how many may
sevenzip.py   the 7-Zip program;  warden.py  no worker leaves it behind;  bounds.py  what it may take
listing.py    what it lists;  complaints.py  what it complains about
zipdirectory.py  whether a zip tells one story
usable.py     what players get of it all
members.py    the files in a stream;  tarball.py  in a tar;  readahead.py  reading a pipe ahead
digest.py     checksums

store.py      every content once;  mirror.py  its public names;  ledger.py  what is known of what has them
workspace.py  where work in progress lies
disk.py       what a full disk means
memory.py     what is remembered, and for how long;  cache.py  the records
known.py      links that were fetched;  manifests.py  archives that were read

uploads.py    files that were uploaded;  parts.py  those that come in parts;  kinds.py  what is an archive

verification.py  whether the mirror still has what was published
examination.py   of one content, is it whole;  repair.py  making it so
previews.py   what an upload holds, before anybody converts it
tidying.py    what does not stay on the disk;  disposable.py  what may be removed
"""
