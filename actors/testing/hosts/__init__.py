"""Hosts of this one machine: Linux network namespaces with nodes in them, and what networks do to them. Needs root.

    async with open_hosts("a", "b") as (a, b), open_nodes(a, b, app="my_app:setup") as (one, other):
        await one.control.connect(str(other.id))
        async with apart(a, b):         # by nft; also `deaf`, `shut`, `narrow`, and `Host.break_connections` (ss -K)
            ...

host        a host: its namespaces, and what can be done to what comes to it
making      hosts on one switch, or two with a bad line between them
relay       that line, a process of its own; `weather` decides what it does to each packet
nodes       node processes on hosts
memory      a bound on the memory of processes

What is made here has no name outside of it, and belongs to a process that ends with this one, however this one ends:
with it end the processes on the host, its interfaces, its rules and its mounts. Only bounds of memory have names; what
is left of them is swept the next time. Nothing of this touches the machine's own network.
"""

from __future__ import annotations

from actors.testing.hosts.host import Host, HostError, apart, deaf, why_not
from actors.testing.hosts.making import open_hosts, open_line
from actors.testing.hosts.memory import open_bound
from actors.testing.hosts.nodes import open_nodes
from actors.testing.hosts.weather import Weather

__all__ = [
    "Host",
    "HostError",
    "Weather",
    "apart",
    "deaf",
    "open_bound",
    "open_hosts",
    "open_line",
    "open_nodes",
    "why_not",
]
