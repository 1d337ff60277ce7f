"""The transport `memory://`: nodes of one process.

network        who listens, and how dials come through
connection     the two ends of a connection
pipes          one direction of it
"""
