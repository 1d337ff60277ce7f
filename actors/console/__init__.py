"""The command `actors`. One file per group of commands; each is imported only when it is run.

    main        the entry point and the table of commands
    envelope    what `--json` prints
    exits       the exit codes, and which error ends in which
    failures    an error as words or envelope
    words       tables and sentences
    reach       which nodes run, and the way to one

The commands, a file each: up, down, ls, verbs, proxy, fault, advert, keygen, run, pipe.
The dashboard is a package, `ui`; the page of each error code stands in `codes.md`, read by `codes`.
"""
