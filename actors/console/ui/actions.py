"""What can be done about a node or a link: commands of `actors`, so that what is shown is what runs. Pure."""

from __future__ import annotations

import shlex

from msgspec import Struct

from actors.console.ui.figures import span
from actors.console.ui.watch import NodeWatch, Watch
from actors.snapshots import ProxySnapshot

LOCAL = "local"
_SHORT = 8
"""Letters of a NodeID that are enough to find it."""


class Action(Struct, frozen=True):
    """One command: what it does, and its words after `actors`."""

    words: str
    tokens: tuple[str, ...]

    @property
    def command(self) -> str:
        """As one would type it."""
        return shlex.join(("actors", *self.tokens))


class Able(Struct, frozen=True, kw_only=True):
    """What this console may do."""

    readonly: bool = False
    faults: bool = False
    """There is a command `actors fault`."""
    replay: bool = False
    """It shows a recording."""


def dial_now(watch: Watch, node: str, proxy: ProxySnapshot) -> Action:
    """Try at once."""
    pause = f", not in {span(proxy.retry_in)}" if proxy.retry_in else ""
    return _proxy(watch, node, proxy, "--dial-now", f"dial {watch.name_of(proxy)} now{pause}")


def permanence(watch: Watch, node: str, proxy: ProxySnapshot) -> Action:
    """The other one."""
    if proxy.permanence == "permanent":
        words = "make it ephemeral: connect on demand"
        return _proxy(watch, node, proxy, "--ephemeral", words)
    return _proxy(watch, node, proxy, "--permanent", "make it permanent: keep a connection open")


def for_link(watch: Watch, node: str, proxy: ProxySnapshot, able: Able) -> tuple[Action, ...]:
    """What helps first comes first."""
    if able.readonly:
        return ()
    toggle = permanence(watch, node, proxy)
    if proxy.state == "ready":
        again = "; it is opened again" if proxy.permanence == "permanent" else ""
        return (toggle, _proxy(watch, node, proxy, "--close", f"close it{again}"))
    return (dial_now(watch, node, proxy), toggle)


def for_node(watch: Watch, node: NodeWatch, able: Able) -> tuple[Action, ...]:
    """A node that is down is started again, if that can be, or dialed by those that miss it."""
    if able.readonly:
        return ()
    actions: list[Action] = []
    if not node.there and able.faults:
        actions.append(Action(f"start {node.name} again", _tokens(watch, "fault", "restart", node.name)))
    if node.node is None:
        return tuple(actions)
    for other in watch.nodes.values():
        proxy = watch.proxy(other.name, node.node.id)
        if other.there and proxy is not None and proxy.state != "ready":
            words = f"let {other.name} dial {node.name} now"
            actions.append(Action(words, dial_now(watch, other.name, proxy).tokens))
    return tuple(actions)


def faults_of(watch: Watch, node: str, proxy: ProxySnapshot | None) -> tuple[Action, ...]:
    """Faults to try, by the command `actors fault`: of a link, else of a node."""
    if proxy is not None:
        peer = watch.name_of(proxy)
        words = {"cut": f"cut {node} from {peer}, once", "heal": "take every fault back"}
        return (
            Action(words["cut"], _tokens(watch, "fault", "cut", node, peer)),
            Action(words["heal"], _tokens(watch, "fault", "heal")),
        )
    return (
        Action(f"kill {node}", _tokens(watch, "fault", "kill", node)),
        Action(f"freeze {node}", _tokens(watch, "fault", "freeze", node)),
        Action(f"restart {node}", _tokens(watch, "fault", "restart", node)),
    )


def _proxy(watch: Watch, node: str, proxy: ProxySnapshot, option: str, words: str) -> Action:
    return Action(words, _tokens(watch, "proxy", node, proxy.peer_id[:_SHORT], option))


def _tokens(watch: Watch, *tokens: str) -> tuple[str, ...]:
    return tokens if watch.cluster == LOCAL else (*tokens, "--cluster", watch.cluster)
