"""The repo document: pure functions and types, without any I/O.

document.py     text in, a checked and understood `Repo` out: begin here
schema.py       the document as it may be written, and its JSON Schema
models.py       mods, packages and files as we understand them
versions.py     versions and dependency specs;  environment.py  where a package runs
names.py        names that are safe to use as files;  urls.py  links

contents.py     what was found in the archives;  outline.py  in short, for drafts
tree.py         files and where they land;  actions.py  what a mod does to them;  glob.py  patterns
layout.py       where every file of a mod lands in the end
generated.py    the generated document
"""
