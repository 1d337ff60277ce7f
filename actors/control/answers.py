"""A request, to the reply that a node gives. No socket here: `server` reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import trio
from msgspec.structs import replace

from actors.control import messages as m
from actors.control.compose import AnyRequest, compose, decode, decode_message, describe, encode, find_message, readable
from actors.control.failures import ControlError
from actors.control.foreign import foreign
from actors.control.languages import Language, OfClasses, OfNeighbour, known_messages, messages_of
from actors.control.neighbours import Neighbours, Nodes
from actors.control.process import loop_lag, memory_bytes
from actors.control.resolve import Known, whole_address
from actors.control.surface import ControlledNode
from actors.control.troubled import Troubled
from actors.events import Event
from actors.identity import EngineID, NodeID
from actors.messages import reply_type
from actors.snapshots import LinkSnapshot, ProxySnapshot, WorkSnapshot

Verb: TypeAlias = Literal["tell", "send", "ask"]


def happened(event: Event) -> m.Happened:
    """An event, as a line."""
    data = {name: readable(getattr(event, name)) for name in event.__struct_fields__ if name != "at"}
    return m.Happened(event=str(event.__struct_config__.tag), at=event.at, data=data)


class Answers:
    """What a node says to requests. `stop` is called when a client asks for the node's end."""

    def __init__(
        self, node: ControlledNode, neighbours: Neighbours, stop: Callable[[], None], troubled: Troubled | None = None
    ) -> None:
        self._node = node
        self._neighbours = neighbours
        self._stop = stop
        self._troubled = troubled

    async def answer(self, request: m.Request) -> m.Reply:
        """The reply; raises ActorError for what becomes a Failed. Cancelled, it lets go of what it waits for."""
        match request:
            case m.GetNode():
                lag = await loop_lag()
                node = replace(self._node.snapshot(), memory_bytes=memory_bytes(), loop_lag_ms=lag * 1000)
                return m.NodeIs(node=node)
            case m.GetProxies(addresses=addresses):
                return m.ProxiesAre(proxies=await self._proxies(addresses=addresses))
            case m.GetLink(peer=peer):
                return m.LinkIs(link=await self._link(peer))
            case m.ExplainProxy(peer=peer):
                return m.Explained(addresses=tuple(self._node.explain((await self._nodes()).node(peer))))
            case m.GetEngines():
                return m.EnginesAre(engines=tuple(self._node.engines()))
            case m.GetWork(engine=engine):
                return m.WorkIs(work=self._work(engine))
            case m.GetDeadLetters():
                return m.DeadLettersAre(letters=tuple(self._node.dead_letters()))
            case m.GetEvents():
                return m.EventsAre(events=tuple(map(happened, self._node.events.recent)))
            case m.GetAdvert():
                return m.AdvertIs(advert=str(self._node.advert))
            case m.GetFaults():
                return m.FaultsAre(troubles=self._faults().troubles)
            case m.Describe() | m.Compose() | m.ReadReply():
                return await self._explain(request)
            case m.Tell() | m.Send() | m.Ask():
                return await self._dispatch(request)
            case m.Pass():
                return await self._pass(request)
        return await self._act(request)

    async def _proxies(self, *, addresses: bool) -> tuple[ProxySnapshot, ...]:
        """With the peers' names, which are no business of the protocol but of whoever sees their sockets."""
        nodes, found = await self._nodes(), []
        for proxy in self._node.proxies():
            peer = NodeID.parse(proxy.peer_id)
            ways = tuple(self._node.explain(peer)) if addresses else ()
            found.append(replace(proxy, peer=nodes.name(peer), addresses=ways))
        return tuple(found)

    async def _link(self, peer: str) -> LinkSnapshot:
        link = self._node.link((await self._nodes()).node(peer))
        if link is None:
            raise ControlError("unknown_node", f"there is no proxy for {peer}", "actors ls proxies")
        return link

    def _work(self, engine: str) -> WorkSnapshot:
        work = self._node.work(engine)
        if work is None:
            raise ControlError("unknown_engine", f"{self._node.name} has no engine {engine!r}", "actors ls engines")
        return work

    # -- acting ---------------------------------------------------------------------------------------------

    async def _act(self, request: m.Request) -> m.Reply:
        match request:
            case m.Learn(advert=advert):
                return m.Learned(id=str(self._node.learn(advert)))
            case m.Connect(peer=peer, permanent=permanent):
                node = (await self._nodes()).node(peer)
                if permanent:
                    # In the name that SetProxy uses too, so that it can be taken back (PROTOCOL L5).
                    self._node.set_permanence(node, True)
                await self._node.connect(node, permanent=False)
            case m.SetProxy(peer=peer, action=action):
                self._set_proxy((await self._nodes()).node(peer), action)
            case m.Migrate(peer=peer, scheme=scheme):
                return await self._migrate((await self._nodes()).node(peer), scheme)
            case m.Cut(peer=peer):
                if not self._node.cut((await self._nodes()).node(peer)):
                    raise ControlError("not_connected", f"there is no connection to {peer}", "actors ls proxies")
            case m.SetFaults(troubles=troubles):
                self._faults().set(troubles)
            case m.Stop():
                self._stop()
        return m.Done()

    async def _migrate(self, peer: NodeID, scheme: str) -> m.Reply:
        addresses = await self._node.migrate(peer, scheme)
        if not addresses:
            words = f"node {peer.short} has no {scheme}:// address that may be dialed from here"
            raise ControlError("no_address", words, "actors proxy NODE PEER --explain says why")
        return m.Migrating(addresses=addresses)

    def _faults(self) -> Troubled:
        if self._troubled is None:
            what = f"node {self._node.name} takes no faults: it is none of a local cluster"
            raise ControlError("no_faults", what, "actors up --detach")
        return self._troubled

    def _set_proxy(self, peer: NodeID, action: m.ProxyAction) -> None:
        match action:
            case "permanent" | "ephemeral":
                self._node.set_permanence(peer, action == "permanent")
            case "dial_now":
                self._node.dial_now(peer)
            case "close":
                self._node.close(peer)

    # -- what engines of this node understand ---------------------------------------------------------------

    async def _explain(self, request: m.Describe | m.Compose | m.ReadReply) -> m.Reply:
        messages = messages_of(self._node, request.engine)
        if isinstance(request, m.Describe):
            return m.Described(engine=request.engine, messages=tuple(map(describe, messages)))
        message = find_message(request.engine, messages, request.type)
        if isinstance(request, m.ReadReply):
            return m.Read(value=readable(decode(request.payload, reply_type(message))))
        return m.Composed(payload=encode(compose(message, request.fields, (await self._nodes()).address)))

    # -- sending --------------------------------------------------------------------------------------------

    async def _dispatch(self, request: m.Tell | m.Send | m.Ask) -> m.Reply:
        nodes = await self._nodes()
        to = nodes.address(request.to)
        language = self._language(to, nodes)
        message = await language.message(request.type, request.fields)
        match request:
            case m.Tell():
                await self._exchange("tell", to, message, request)
                return m.Accepted(path=self._path(to, nodes))
            case m.Send():
                _, rtt = await self._exchange("send", to, message, request)
                return m.Delivered(path=self._path(to, nodes, rtt))
            case m.Ask():
                reply, rtt = await self._exchange("ask", to, message, request)
                path = self._path(to, nodes, rtt)
                return m.Replied(value=await language.readable(request.type, reply), path=path)

    async def _pass(self, request: m.Pass) -> m.Reply:
        to = whole_address(request.to) or (await self._nodes()).address(request.to)
        if self._is_own(to):
            message = decode_message(to.name, messages_of(self._node, to.name), request.payload)
        else:
            message = foreign(request.payload)
        reply, _ = await self._exchange(request.verb, to, message, request)
        return m.Passed(payload=encode(reply) if request.verb == "ask" else b"")

    def _language(self, to: EngineID, nodes: Nodes) -> Language:
        if self._is_own(to):
            return OfClasses(to.name, messages_of(self._node, to.name), nodes.address)
        if to.node and (path := nodes.socket(to.node)):
            return OfNeighbour(to.name, path)
        return OfClasses(to.name, known_messages(), nodes.address)

    async def _exchange(self, verb: Verb, to: EngineID, msg: AnyRequest, how: m.Sending) -> tuple[object, float]:
        """What the verb gives, and how many milliseconds it took."""
        begin = trio.current_time()
        reply: object = None
        match verb:
            case "tell":
                await self._node.tell(to, msg, prefs=how.prefs, expiry=how.expiry)
            case "send":
                await self._node.send(to, msg, prefs=how.prefs, expiry=how.expiry)
            case "ask":
                reply = await self._node.ask(to, msg, prefs=how.prefs, expiry=how.expiry)
        return reply, (trio.current_time() - begin) * 1000

    def _path(self, to: EngineID, nodes: Nodes, rtt_ms: float | None = None) -> m.Path:
        target = nodes.name(to.node) if to.node else self._node.name
        if self._is_own(to):
            return m.Path(source=self._node.name, target=target, transport="local", rtt_ms=rtt_ms)
        proxy = next((proxy for proxy in self._node.proxies() if proxy.peer_id == str(to.node)), None)
        if proxy is None:
            return m.Path(source=self._node.name, target=target, transport=None, rtt_ms=rtt_ms)
        rtt_ms = proxy.rtt_ms if rtt_ms is None else rtt_ms
        return m.Path(source=self._node.name, target=target, transport=proxy.transport, rtt_ms=rtt_ms)

    # -- who is meant ---------------------------------------------------------------------------------------

    def _is_own(self, to: EngineID) -> bool:
        return to.node == self._node.id

    async def _nodes(self) -> Nodes:
        sockets = await self._neighbours.sockets()
        own = Known(self._node.name, str(self._node.id))
        peers = [Known(proxy.peer, proxy.peer_id) for proxy in self._node.proxies()]
        return Nodes([own, *peers, *sockets], {known.id: path for known, path in sockets.items()})
