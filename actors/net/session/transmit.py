"""The transmit half of a session: what waits, what was written, and how each message ended. Pure.

It lives as long as its Node Proxy, whatever becomes of connections. Messages travel in *runs*: consecutive
messages of one lane (sender, target) with one deadline. A number is given at the first write (PROTOCOL S3), kept
until it is acknowledged, and settled exactly once (P1).

    lane queues --pick, round robin, by credit--> frame --> retained --acknowledge--> settled
                                                     ^ rewind after a new connection |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import ceil, inf
from typing import Any

from msgspec import msgpack

from actors.errors import DELIVERED, SENT, Expired, Failure, Lost, Outcome, ProtocolError, Refused, SendError
from actors.net.messages import Kind, Limit, Messages, Refusal, RunHead, Want
from actors.net.messages import Lane as LaneRecord
from actors.net.session.conditions import Onlooker
from actors.net.session.expiries import Expiries
from actors.net.session.runs import FLAT, Lane, Ledger, Run, Target
from actors.net.wire import encode_messages
from actors.recent import Recent

FRAME_BYTES = 64 << 10
"""Payload at which a frame is full. A larger message has a frame of its own."""
_HEAD_BYTES = 24 << 10
_NO_CREDIT_NEEDED = frozenset({Kind.REPLY, Kind.CANCEL})
_VOID = LaneRecord(0, "", "")
"""The lane of replies, and of what is skipped in their place or in that of a Cancel: it knows no credit."""
_POISON = 3
_NONE_YET: deque[Any] = deque(maxlen=0)
"""In the place of queues until they are needed, most of them by the first target: an empty one takes 0.8 KiB, and most
peers are never told anything. It takes nothing in."""
_encode = msgpack.Encoder().encode


class Transmit:
    """One direction of a session, at its sender. `report(run, outcome)` hears of failed messages nobody waits for."""

    def __init__(self, epoch: int, report: Callable[[Run, SendError], None], onlooker: Onlooker | None = None) -> None:
        self.epoch = epoch
        self.ledger = Ledger()
        self.weight = 0
        """Of everything unsettled that was handed over."""
        self.resent = 0
        self.took = Recent()
        """From the acceptance of messages until it was heard that they are delivered."""
        self.late = 0
        """Acknowledgements of messages that had expired (S8)."""
        self.wants: deque[Want] = _NONE_YET
        self.settled = 0
        """Every refusal up to this number has been heard (S7)."""
        self.max_message = inf
        self.targets: dict[str, Target] = {}
        self.retained: deque[Run] = _NONE_YET
        self._report = report
        self._onlooker = onlooker
        self.unreliable: deque[Lane] = _NONE_YET
        """Lanes of that class with something to write, by turns."""
        self._ready: deque[Lane] = _NONE_YET
        self._again: deque[Run] = _NONE_YET
        self.carrier = ""
        """The transport of the current connection."""
        self.held: Callable[[], object] = _unheard
        """Called when something may not go over it, whenever that is found out."""
        self._held: deque[Lane] = _NONE_YET
        self._next = 1
        self._acknowledged = 0
        self._record: int | None = None
        self._first = (0, 0)
        self._declared: dict[int, None] = {}
        """Lanes that the current connection knows."""
        self.expiries = Expiries()
        self._suspect = (0, 0)

    # -- queueing ---------------------------------------------------------------------------------------

    def target(self, name: str) -> Target:
        """The target of that name, made at its first use."""
        target = self.targets.get(name)
        if target is None:
            if not self.targets:
                self.retained, self.unreliable, self._ready, self._again = deque(), deque(), deque(), deque()
            target = self.targets[name] = Target(name)
            target.limit_count, target.limit_size = self._first
        return target

    def admit(self, run: Run) -> None:
        """Seal a run and count its messages as accepted. It still has to be queued."""
        run.seal()
        self.ledger.accepted += run.count
        weight = run.size + run.count * FLAT
        self.weight += weight
        run.lane.target.weight += weight
        if self._onlooker is not None:
            self._onlooker.accepted(run)

    def queue(self, run: Run) -> None:
        """An admitted run joins its lane, unless it was withdrawn on the way.

        A CANCEL goes before all that was never written: its ask was, and what waits for credit may wait for the very
        handler that is to be cancelled (Q1).
        """
        if not run.count:
            return
        lane = run.lane
        self.expiries.watch(run)
        if run.kind is Kind.CANCEL:
            lane.queue.appendleft(run)
            self._unblock(lane.target)
            self._release()
        elif run.size > self.max_message:
            lane.queue.extend(self._without_giants(run))
        else:
            lane.queue.append(run)
        if not lane.ready:
            lane.ready = True
            (self.unreliable if lane.unreliable else self._ready).append(lane)

    def bound(self, max_message: int) -> None:
        """The peer takes messages of so many bytes at most; larger ones that wait are refused (S14)."""
        self.max_message = max_message
        for lane in self._waiting_lanes():
            lane.queue = deque(piece for run in lane.queue for piece in self._without_giants(run))

    def _without_giants(self, run: Run) -> list[Run]:
        if not run.items or max(map(len, run.items)) <= self.max_message:
            return [run]
        pieces = [self._split(run, 1) for _ in range(run.count)]
        for piece in pieces:
            if piece.size > self.max_message:
                self._settle(piece, Refused("too_large"))
        return [piece for piece in pieces if piece.count]

    @property
    def can_write(self) -> bool:
        """Whether `write` may find something."""
        return bool(self._again or self._ready or self.unreliable)

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing written is without outcome."""
        return not self.weight

    @property
    def queued(self) -> int:
        """Messages that were never written."""
        return sum(run.count for lane in self._waiting_lanes() for run in lane.queue)

    @property
    def newest(self) -> int:
        """The greatest number that was given."""
        return self._next - 1

    @property
    def unacknowledged(self) -> int:
        """Messages that were written and have no outcome yet."""
        return sum(run.count for run in self.retained if run.items is not None)

    def _waiting_lanes(self) -> Iterable[Lane]:
        yield from self._ready
        yield from self._held
        yield from self.unreliable
        for target in self.targets.values():
            yield from target.blocked

    # -- writing ----------------------------------------------------------------------------------------

    def write(self, now: float, upto: int) -> list[bytes] | None:
        """The parts of the next Messages frame, or None when nothing may be written (nothing there, no credit).

        `upto` is the acknowledgement that rides on it.
        """
        picked = self._pick_again(now) if self._again else None
        if not picked:
            if self._again:
                return None  # numbers go in order, and the first may not go over this connection
            picked = self._pick_new(now) if self._ready else None
        return self._frame(picked, now, upto) if picked else None

    def write_lone(self, run: Run, now: float, upto: int) -> list[bytes] | None:
        """As `queue` and `write` together, for an admitted run that finds nothing before it (asks, answers).

        None, and nothing has happened, if something waits already or the run has to.
        """
        lane = run.lane
        if self._ready or self._again or lane.ready or run.size > FRAME_BYTES or run.deadline <= now:
            return None
        if (run.only is not None and not self._carried(run)) or self._affordable(lane.target, run) < run.count:
            return None
        self.expiries.watch(run)
        self._number(run)
        return self._frame((run,), now, upto)

    def _pick_again(self, now: float) -> list[Run]:
        picked: list[Run] = []
        size = 0
        while self._again and len(picked) < 256:
            run = self._again[0]
            if run.deadline <= now:
                self._bury(run, Expired(maybe_sent=True))
            if run.only is not None and not self._carried(run):
                self.held()
                break
            size += run.length
            if picked and size > FRAME_BYTES:
                break
            self._again.popleft()
            if not run.count:
                continue
            picked.append(run)
            self.resent += run.count
        return picked

    def _pick_new(self, now: float) -> list[Run]:
        """One run of each lane in turn, as long as the frame has room and targets have credit."""
        picked: list[Run] = []
        size = head = 0
        ready = self._ready
        while ready and size < FRAME_BYTES and head < _HEAD_BYTES:
            lane = ready[0]
            run = self._next_of(lane, now)
            if run is None:
                ready.popleft()
                lane.ready = False
                continue
            if run.only is not None and not self._carried(run):
                self._hold(ready.popleft())
                continue
            count = self._affordable(lane.target, run)
            if not count:
                ready.popleft()
                lane.target.blocked.append(lane)
                continue
            if size + run.size > FRAME_BYTES:
                count = self._fitting(run, count, FRAME_BYTES - size) or (0 if picked else 1)
                if not count:
                    break
            if count == run.count:
                lane.queue.popleft()
            else:
                run = self._split(run, count)
            self._number(run)
            picked.append(run)
            size += run.size
            head += 24 if lane.number in self._declared else 48 + len(lane.sender) + len(lane.target.name)
            if lane.queue:
                ready.rotate(-1)
            else:
                ready.popleft()
                lane.ready = False
        return picked

    def _next_of(self, lane: Lane, now: float) -> Run | None:
        """The first run of the lane that has something left to say."""
        queue = lane.queue
        while queue:
            run = queue[0]
            if run.count and run.deadline > now:
                return run
            self._settle(run, Expired(maybe_sent=False))
            queue.popleft()
        return None

    def _affordable(self, target: Target, run: Run) -> int:
        """How many messages of the run the target's credit covers (K1); asks for more where none ever will (K4)."""
        if run.kind in _NO_CREDIT_NEEDED:
            return run.count
        count = target.limit_count - target.used_count
        if count <= 0:
            return 0
        if count > run.count:
            count = run.count
        room = target.limit_size - target.used_size
        if run.size <= room:
            return count
        fitting = self._fitting(run, count, room)
        if not fitting and not target.unacknowledged and not target.wanted:
            target.wanted = True
            assert run.items is not None
            if self.wants is _NONE_YET:
                self.wants = deque()
            self.wants.append(Want(target.name, len(run.items[0])))
        return fitting

    @staticmethod
    def _fitting(run: Run, count: int, room: int) -> int:
        """How many of the first `count` messages fit into so many bytes."""
        if run.size <= room:
            return count
        assert run.items is not None
        for index in range(count):
            room -= len(run.items[index])
            if room < 0:
                return index
        return count

    def _number(self, run: Run) -> None:
        run.number = self._next
        self._next += run.count
        target = run.lane.target
        if run.kind not in _NO_CREDIT_NEEDED:
            target.used_count += run.count
            target.used_size += run.size
        target.unacknowledged += run.count
        self.retained.append(run)
        if run.waiters is not None:
            for waiter in run.waiters:
                waiter.written = True

    def _frame(self, picked: Sequence[Run], now: float, upto: int) -> list[bytes]:
        lanes: list[LaneRecord] = []
        heads: list[RunHead] = []
        parts: list[bytes] = [b""]
        payload = 0
        for run in picked:
            lane = _VOID if run.items is None and run.kind in _NO_CREDIT_NEEDED else run.lane.record
            if lane.lane not in self._declared:
                self._declared[lane.lane] = None
                lanes.append(lane)
            if run.items is None:
                skipped = _encode(run.sizes)
                parts.append(skipped)
                size, kind, ttl = len(skipped), Kind.SKIP, 0
            else:
                array = _array(run.count)
                parts.append(array)
                parts += run.items
                left = min(run.deadline, max(run.until, now)) - now
                size, kind, ttl = len(array) + run.size, run.kind, ceil(left * 1000)
            payload += size
            heads.append(RunHead(lane.lane, kind, run.count, ttl, size))
        parts[0] = encode_messages(Messages(picked[0].number, self.settled, upto, lanes, heads), payload)
        return parts

    # -- the unreliable class ---------------------------------------------------------------------------

    def next_unreliable(self, now: float) -> Run | None:
        """The messages of that class that are to be written next. They stay here until `sent` or `refuse`."""
        lanes = self.unreliable
        while lanes:
            lane = lanes[0]
            run = self._next_of(lane, now)
            if run is not None and not self._carried(run):
                self._hold(lanes.popleft())
                continue
            if run is not None:
                lanes.rotate(-1)
                return run
            lanes.popleft()
            lane.ready = False
        return None

    def sent(self, run: Run, count: int) -> None:
        """The transport has the first so many of these messages (U1)."""
        if count:
            self._settle(run if count == run.count else self._split(run, count), SENT)

    def refuse(self, run: Run, outcome: Refused) -> None:
        """The transport cannot carry the first of these messages."""
        self._settle(self._split(run, 1), outcome)

    # -- what the receiver says -------------------------------------------------------------------------

    def resume(self, first: tuple[int, int], credit: Sequence[Limit]) -> None:
        """A Resume has come: a target that it does not list has this much credit (K2, K3), one listed has its own."""
        self._first = first
        self.want_again()
        listed = {limit.target for limit in credit}
        for name, target in self.targets.items():
            if name not in listed:
                self._raise(target, *first)

    def want_again(self) -> None:
        """Ask once more for room that was not given (K4)."""
        for target in self.targets.values():
            if target.wanted:
                target.wanted = False
                self._unblock(target)

    def rewind(self, carrier: str = "") -> None:
        """Another connection is the current one: write again all that is not acknowledged (S6)."""
        self.carrier = carrier
        if self.targets:
            self._again = deque(self.retained)
        self._declared.clear()
        self._release()

    def acknowledge(self, upto: int, refusals: Sequence[Refusal], credit: Sequence[Limit], now: float = 0.0) -> bool:
        """Everything up to `upto` is in a mailbox, or in `refusals`, or was skipped (S7). Whether something moved.

        Raises ProtocolError for numbers that were never written (S12).
        """
        if upto >= self._next or (refusals and any(refusal.number > upto for refusal in refusals)):
            raise ProtocolError(f"acknowledges {upto}, but only {self._next - 1} were written")
        refused = _since(refusals, self._acknowledged) if refusals else _NONE
        retained = self.retained
        while retained and (run := retained[0]).number <= upto:
            if run.number + run.count - 1 <= upto:
                retained.popleft()
            else:
                run = self._split(run, upto - run.number + 1)
            target = run.lane.target
            target.unacknowledged -= run.count
            if target.blocked and not target.unacknowledged:
                self._unblock(target)  # to ask for the room that a large message lacks (K4)
            if refused or run.items is None:
                self._acknowledged_run(run, refused)
            else:
                if run.since and now:
                    self.took.add(now - run.since, now, run.count)
                self._settle(run, DELIVERED)
        for limit in credit:
            self._raise(self.target(limit.target), limit.count, limit.size)
        if refused:
            self.settled = max(self.settled, *refused)
        moved = upto > self._acknowledged
        self._acknowledged = max(self._acknowledged, upto)
        return moved

    def known(self, record: int, position: int) -> bool:
        """Whether a Resume is of the record that this half has written to (S12); else the session is lost (S2).

        The position alone does not tell: a peer that has forgotten the session before anything of it was
        acknowledged says 0, as a new one does, and would take what it had taken a second time. Nor does a position
        behind what is acknowledged: it is an old word, overtaken by an Ack on another connection.
        """
        if self._record is None:
            self._record = record
        return record == self._record and position < self._next

    def _acknowledged_run(self, run: Run, refused: dict[int, str]) -> None:
        if run.items is None:
            self.late += run.count
            run.count = 0
            return
        while refused and run.count:
            number = next((n for n in range(run.number, run.number + run.count) if n in refused), None)
            if number is None:
                break
            if number > run.number:
                self._settle(self._split(run, number - run.number), DELIVERED)
            self._settle(self._split(run, 1), _refusal(refused[number]))
        if run.count:
            self._settle(run, DELIVERED)

    def _raise(self, target: Target, count: int, size: int) -> None:
        if count <= target.limit_count and size <= target.limit_size:
            return
        target.limit_count = max(target.limit_count, count)
        target.limit_size = max(target.limit_size, size)
        target.wanted = False
        self._unblock(target)

    def _unblock(self, target: Target) -> None:
        self._ready.extend(target.blocked)
        target.blocked.clear()

    # -- what the current connection may not carry ------------------------------------------------------

    def _carried(self, run: Run) -> bool:
        """Whether the current connection may carry it; the number of what has its outcome goes over any."""
        return run.only is None or run.items is None or self.carrier in run.only

    def _hold(self, lane: Lane) -> None:
        if self._held is _NONE_YET:
            self._held = deque()
        self._held.append(lane)
        self.held()

    def _release(self) -> None:
        for lane in self._held:
            (self.unreliable if lane.unreliable else self._ready).append(lane)
        self._held.clear()

    def _barred(self) -> Iterable[Run]:
        """What waits first for another connection."""
        yield from (run for run in [*self._again][:1] if not self._carried(run))
        yield from (lane.queue[0] for lane in self._held if lane.queue and not self._carried(lane.queue[0]))

    def demanded(self) -> frozenset[str] | None:
        """The transports that may carry what waits first for another connection; None if nothing does."""
        return next((run.only for run in self._barred()), None)

    def give_up_barred(self, only: frozenset[str], detail: str) -> None:
        """There will be no such connection: what may go over these transports alone is given up."""
        for run in self.retained:
            if run.only == only:
                self._bury(run, Lost("no_transport", maybe_sent=True))
        for run in [run for lane in self._held for run in lane.queue if run.only == only]:
            self._settle(run, Refused("no_transport", detail))
        self._release()

    # -- endings ----------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Settle what has run out of time, written or not (S8)."""
        for run in self.expiries.due(now):
            if run.number:
                self._bury(run, Expired(maybe_sent=True))
                continue
            self.withdraw(run)
            queue = run.lane.queue
            while queue and not queue[0].count:
                queue.popleft()

    def withdraw(self, run: Run) -> None:
        """Nobody wants these messages any more; they were never written (Q1). Those behind them may fit."""
        self._settle(run, Expired(maybe_sent=False))
        self._unblock(run.lane.target)
        self._release()

    def give_up_written(self, reason: str) -> None:
        """The connection that carried them is gone for good (L4); their numbers stay to be skipped."""
        for run in self.retained:
            self._bury(run, Lost(reason, maybe_sent=True))

    def renew(self, epoch: int, reason: str) -> None:
        """Begin a new session: what was written is Lost, what was not is kept, in order (S2, S9)."""
        self.give_up_written(reason)
        self.retained.clear()
        self._again.clear()
        self._declared.clear()
        self.epoch, self._next, self._acknowledged, self.settled, self._first = epoch, 1, 0, 0, (0, 0)
        self._record, self._suspect = None, (0, 0)
        self.wants.clear()
        for target in self.targets.values():
            self._unblock(target)
            target.limit_count = target.limit_size = target.used_count = target.used_size = target.unacknowledged = 0
            target.wanted = False

    def blame(self) -> None:
        """The connection ended in a ProtocolError: the oldest written message is given up at the third time (S14)."""
        oldest = next((run for run in self.retained if run.items is not None), None)
        if oldest is None:
            return
        number, times = self._suspect
        self._suspect = (oldest.number, times + 1 if number == oldest.number else 1)
        if self._suspect[1] >= _POISON:
            index = self.retained.index(oldest)
            guilty = self._split(oldest, 1)
            self.retained.insert(index, guilty)
            if not oldest.count:
                self.retained.remove(oldest)
            self._bury(guilty, Lost("poison", maybe_sent=True))

    def take_queue(self) -> list[Run]:
        """Hand over what was never written (D4). It leaves this ledger as if it had not been accepted."""
        runs = [run for lane in self._waiting_lanes() for run in lane.queue if run.count and run.items is not None]
        for run in runs:
            self._disown(run)
        self._drop_queues()
        return runs

    def take_answers(self) -> list[Run]:
        """Hand over the answers, also those that were written: whoever asked takes the first and drops the second (Q3).

        They leave this ledger as if they had not been accepted.
        """
        waiting = [run for lane in self._waiting_lanes() for run in lane.queue]
        taken = []
        for run in [*self.retained, *waiting]:
            if run.kind is not Kind.REPLY or run.items is None or not run.count:
                continue
            self._disown(run)
            taken.append(Run(run.lane, run.kind, run.deadline, run.items))
            run.items, run.count, run.size = None, 0, 0
        return taken

    def _disown(self, run: Run) -> None:
        """As if its messages had not been accepted here."""
        self.expiries.unwatch(run)
        self.weight -= run.weight
        run.lane.target.weight -= run.weight
        self.ledger.accepted -= run.count

    def close(self, reason: str) -> None:
        """Settle everything: unwritten Lost(False), written Lost(True) (P4)."""
        for run in [run for lane in self._waiting_lanes() for run in lane.queue]:
            self._settle(run, Lost(reason, maybe_sent=False))
        self._drop_queues()
        self.give_up_written(reason)
        self.retained.clear()
        self._again.clear()

    def _drop_queues(self) -> None:
        for lane in list(self._waiting_lanes()):
            lane.queue.clear()
            lane.ready = False
        self._ready.clear()
        self._held.clear()
        self.unreliable.clear()
        for target in self.targets.values():
            target.blocked.clear()

    def _settle(self, run: Run, outcome: Outcome) -> None:
        """All messages of the run end so; nothing of it is left."""
        if run.items is None or not run.count:
            return
        if self._onlooker is not None:
            self._onlooker.settled(run, outcome)
        self.expiries.unwatch(run)
        weight = run.size + run.count * FLAT
        self.weight -= weight
        run.lane.target.weight -= weight
        if outcome is DELIVERED:
            self.ledger.delivered += run.count
        else:
            self.ledger.note(outcome, run.count)
        if run.waiters is not None:
            self._tell_waiters(run, outcome)
        elif isinstance(outcome, SendError):
            self._report(run, outcome)
        run.items, run.waiters, run.count, run.size = None, None, 0, 0

    @staticmethod
    def _tell_waiters(run: Run, outcome: Outcome) -> None:
        for waiter in run.waiters or ():
            if isinstance(outcome, SendError):
                waiter.fail(outcome)
            elif run.kind is Kind.TELL:
                waiter.give(None)

    def _bury(self, run: Run, outcome: Failure) -> None:
        """The messages end so, their numbers remain."""
        if run.items is not None:
            count, sizes = run.count, list(map(len, run.items))
            self._settle(run, outcome)
            run.count, run.sizes = count, sizes

    def _split(self, run: Run, count: int) -> Run:
        head = run.take(count)
        if head.items is not None:
            self.expiries.watch(head)
        if not run.count:
            self.expiries.unwatch(run)
        return head


def _unheard() -> None: ...


_NONE: dict[int, str] = {}


def _since(refusals: Sequence[Refusal], known: int) -> dict[int, str]:
    """Those that were not heard of before."""
    return {refusal.number: refusal.reason for refusal in refusals if refusal.number > known}


def _array(count: int) -> bytes:
    """The head of a msgpack array."""
    return bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")


def _refusal(reason: str) -> Failure:
    """What a receiver's reason is to the sender. An expiry there happened before any mailbox."""
    return Expired(maybe_sent=False) if reason == "expired" else Refused(reason)
