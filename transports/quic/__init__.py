"""The transport `quic://`: aioquic's connections, driven by Trio.

transport                    dial and listen
dialed, listening            the two kinds of endpoint: one connection, or many at one place
endpoint, places             a socket, and where it answers from
stateless                    what needs no connection: version negotiation, Retry
line                         one connection at work
stream                       its one stream, as a Stream
connection, ends, timers     what is asked of aioquic, and when
"""
