"""Nodes that talk to each other: one Node Proxy for each remote node, and what it talks to.

router  node_proxy  transport_protocol  transport_connection     engines; they never import each other
dialing, racing, upgrading of a Node Proxy: how it comes to a connection, and to a better one
settling                   of a Node Proxy: what becomes of what is owed when a connection is gone
network, vocabulary        what these engines share, and what they say to each other
session/                   exactly once over connections that break: the hot path, its two halves, its end
peers                      what a node keeps of its peers across proxies and connections
life/                      the life of a proxy, decided by one table
connecting/                which address is dialed, when, and which of several connections stays
proving/                   who is there: the handshake, and adverts
wire > messages            the records that cross the wire, on one page (PROTOCOL.md shows the bytes)
"""
