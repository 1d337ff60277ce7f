"""What a node remembers of its peers over a restart: its state folder, kept up with its book. Not what is in a file.

Adverts, with whoever told of them (PROTOCOL A1, A4), and who holds the link for permanent (L5). What the settings say
is not remembered: they say it at each start. Files are written in a thread, soon after something has changed; one that
cannot be written is an event, is tried again, and keeps nobody from talking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from actors.events import StateNotWritten
from actors.identity import NodeID
from actors.net.network import Network, Record
from actors.net.proving.adverts import AdvertError, NodeAdvert
from actors.net.vocabulary import ROUTER, SetPermanence
from actors.state import PeerRecord, StateDir, StateError

CONFIGURATION = "configuration"
"""Who holds the links that the settings name."""
PAUSE = 1.0
"""Seconds between two times of writing: a peer that changes its mind all the time costs the disk no more."""
AGAIN = 30.0
"""Seconds after which what could not be written is tried again."""

_Changes = Mapping[NodeID, PeerRecord | None]


class Remembered:
    """One node's. Make it before the network runs, `restore` when it does, and let `serve` end after it."""

    def __init__(self, state: StateDir, network: Network) -> None:
        """Read the folder. StateError for a record that is damaged, or that its node did not sign."""
        self._state = state
        self._network = network
        self._kept = state.peers()
        """As it is on the disk."""
        self._adverts = {node: self._read(node, record) for node, record in self._kept.items()}
        self._changed: dict[NodeID, None] = {}
        self._news = trio.Event()
        network.changed = self._note
        network.boot_above = self._boot_above

    def _read(self, node: NodeID, record: PeerRecord) -> NodeAdvert | None:
        if record.advert is None:
            return None
        try:
            advert = NodeAdvert.read(record.advert)
        except AdvertError:
            advert = None
        if advert is None or advert.id != node:
            raise self._state.damaged(node)
        return advert

    # -- at the start -----------------------------------------------------------------------------------

    def advertise(self, addresses: Sequence[tuple[str, int]], *, now_ms: int) -> NodeAdvert:
        """This node's advert, newer than the one it signed last (A2). It is on the disk before anybody sees it."""
        key, last = self._network.key, self._adverts.get(self._network.key.id)
        version = max(1, now_ms, last.version + 1 if last else 0)
        advert = NodeAdvert.sign(key, addresses, version=version, created=now_ms)
        self._store({key.id: PeerRecord(advert.data)})
        return advert

    def restore(self) -> None:
        """Tell the network what was remembered. PeersFull if it is more than `limits.peers`."""
        network = self._network
        for node, record in self._kept.items():
            if node != network.key.id:
                advert = self._adverts[node]
                if advert is not None:
                    network.keep(advert, record.learned_from)
                for holder in record.holders:
                    network.peers.open(node)
                    network.runtime.tell_nowait(ROUTER, SetPermanence(node, True, holder))
        self._adverts.clear()
        self._changed.clear()  # it is what lies on the disk

    # -- from then on -----------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Write what changes, until cancelled; then once more."""
        try:
            while True:
                await self._news.wait()
                await trio.sleep(PAUSE if await self._write() else AGAIN)
        finally:
            with trio.CancelScope(shield=True):
                await self._write()

    def _note(self, node: NodeID) -> None:
        self._changed[node] = None
        self._news.set()

    async def _write(self) -> bool:
        """Whether the disk took it all."""
        self._news = trio.Event()
        changes = {node: self._record(node) for node in self._changed}
        self._changed = {}
        changes = {node: record for node, record in changes.items() if record != self._kept.get(node)}
        if not changes:
            return True
        try:
            await trio.to_thread.run_sync(self._store, changes)
        except BaseException as error:
            for node in changes:
                self._note(node)
            if not isinstance(error, StateError):
                raise  # cancelled: there is a last time
            self._report(error)
            return False
        return True

    def _record(self, node: NodeID) -> PeerRecord | None:
        """What is to be on the disk."""
        own = self._network.advert
        if node == self._network.key.id:
            return PeerRecord(own.data) if own else None
        known: Record | None = self._network.peers.find(node)
        if known is None:
            return None
        holders = tuple(sorted(known.holders.names - {CONFIGURATION}))
        if known.advert is None and not holders:
            return None
        return PeerRecord(known.advert.data if known.advert else None, known.learned_from, holders)

    def _store(self, changes: _Changes) -> None:
        for node, record in changes.items():
            if record is None:
                self._state.forget_peer(node)
                self._kept.pop(node, None)
            else:
                self._state.store_peer(node, record)
                self._kept[node] = record

    def _boot_above(self, newest: int) -> int:
        """For at most a few times in a run: it may wait for the disk here."""
        try:
            return self._state.boot_above(newest)
        except StateError as error:
            self._report(error)
            return newest + 1

    def _report(self, error: StateError) -> None:
        runtime = self._network.runtime
        runtime.events.emit(StateNotWritten(runtime.clock.now(), str(error)))
