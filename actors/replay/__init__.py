"""Engines of a recorded node, run again: no network, no ports, a clock that follows the record.

- `story`       a record as turns: an engine stands, a message comes, and what follows from it
- `stage`       the Context of an engine that is run again: it is told what it was told
- `players`     one engine, turn after turn, compared with what was recorded
- `performance` the turns of a node, up to where they are to stop
- `breaking`    the debugger at a message, or where it crashed
"""
