"""The session with one remote node, exactly once and in order over any number of connections (PROTOCOL S, K, D, T).

session        its two halves, the connections that carry it, and which of them is current
outbox         where messages for the node are handed over
transmit       the half that sends: what waits, what was written, how each message ended
receive        the half that receives: what has arrived, and what became of it
delivery       between the session and this node's engines
demands        which transports may carry a message
link           one proven connection at work
runs, credit   what waits for a remote engine, and how much of a mailbox it may fill
closing        how an idle connection ends
liveness       whether the other end is still there
"""
