"""Nodes that talk to each other: one Node Proxy for each remote node, and what it talks to.

router  node_proxy  transport_protocol  transport_connection     engines; they never import each other
network, vocabulary        what these engines share, and what they say to each other
session                    which connection carries a session; delivery: from it into mailboxes
link > outbox              the hot path between nodes
transmit, receive, credit  the halves of a session
life, phases, backoff, selection, history, liveness, closing, contest, peers, slots     decisions
handshake, transcript, adverts                                                          proofs
wire > messages            the records that cross the wire, on one page (PROTOCOL.md shows the bytes)
"""
