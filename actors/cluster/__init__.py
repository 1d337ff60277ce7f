"""Clusters on one machine: nodes in this process, or each in a process of its own.

links       names and topologies
children    node processes: start, ready, end
remote      a node process, as a script sees it
opening     open_cluster
processes   clusters of such nodes: directory, first contact, links
detached    clusters that outlive the process that started them
apart       faults of connections: cut, kept apart, slow, healed
lives       faults of processes: killed, started again, frozen
lifeline    nodes that are started again end with who started the cluster
stopping    the end of nodes that are not our children
"""

from __future__ import annotations

from actors.cluster.children import Child, NodeProcess
from actors.cluster.detached import start_cluster
from actors.cluster.links import Topology, links, node_names
from actors.cluster.opening import Linked, open_cluster
from actors.cluster.processes import Plan
from actors.cluster.remote import RemoteNode
from actors.cluster.stopping import stop_nodes

__all__ = [
    "Child",
    "Linked",
    "NodeProcess",
    "Plan",
    "RemoteNode",
    "Topology",
    "links",
    "node_names",
    "open_cluster",
    "start_cluster",
    "stop_nodes",
]
