"""How bytes get from node to node. Knows nothing of actors, nodes or messages.

errors      what can go wrong, in words
addresses   where a node can be reached, as URLs
frames      length-prefixed frames out of a byte stream
base        what a Transport, a Listener and a Stream are
streams     a Stream over a connected socket
sockets     dialing, listening, accepting
memory      connections inside one process, with latency and faults
tcp         plain TCP
"""
