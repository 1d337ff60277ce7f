"""What came in on a node, written down while it runs, so that its engines can run again. RECORDING.md: the format.

Written at the mailboxes and not at the sockets: what an engine does follows from the messages it gets, in their order,
and from what it is told when it asks; the bytes of a connection are encrypted, and say less.

- `records`     every record of a file, on one page (pure)
- `files`       header, chunks, reading back
- `folders`     where records lie, and whose they are
- `plain`       an engine's state as bytes and back
- `chance`      `random` and `uuid.uuid4` of one engine
- `writer`      the thread that writes
- `books`       what one engine gets: the place where its handlers are called
- `recorder`    all of a node: engines, arrivals, commands, events
"""
