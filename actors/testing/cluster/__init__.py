"""The cluster of a simulation: real nodes, by name, and the history of what happens to them.

simulation     `sim`: messages, faults, and how it all comes to rest
members        its nodes: started, stopped, killed, linked
hosts          one node over all its runs
watch          from the nodes into the history
proofs         what crosses before a proof
chronicle      what is written down, and where chance comes from
trace          a digest of all that happened
knobs          the numbers of a node, as a seed sets them
"""
