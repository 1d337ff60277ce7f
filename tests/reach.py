"""What a scenario of the simulator comes upon: rare things, counted over some seeds, so that none is about nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from actors.net import messages as wire
from actors.testing.cluster.simulation import Simulation
from actors.testing.history.records import Forgot, History, LinkDown, Settled
from actors.testing.scenarios import SCENARIOS
from actors.testing.scenarios.moments import Crossing, FrameTap
from actors.testing.seeds.search import run


class Reach:
    """Looks on at one run of a scenario; `marks` counts what it saw."""

    def __init__(self, sim: Simulation) -> None:
        self.marks: Counter[str] = Counter()
        self._sim = sim
        self._epochs: dict[tuple[int, str], int] = {}
        self._written: dict[tuple[str, int], int] = {}
        self._refusals: dict[tuple[str, int, str], int] = {}
        self._proven: set[int] = set()
        FrameTap(sim).on_frame.append(self.see)

    def see(self, crossing: Crossing) -> None:
        """A frame sets out."""
        number, sender = crossing.connection.number, crossing.sender
        match crossing.frame:
            case wire.Proof(epoch):
                self._epochs[number, sender] = epoch
            case wire.Accepted(epoch):
                self._epochs[number, sender] = epoch
                self._see_proven(crossing)
            case wire.HandshakeRefused(reason):
                self._mark(f"handshake refused: {reason}")
            case wire.Resume(position=position, refusals=refusals, credit=credit) as resume:
                self._mark("resume of a known session", position > 0)
                self._mark("refusals in a Resume", refusals)
                self._mark("limits in a Resume", credit)
                self._mark("less room than a newcomer has", any(each.count < resume.first_count for each in credit))
                self._see_refusals(number, sender, refusals)
            case wire.Ack(_, refusals, credit):
                self._mark("limits in an Ack", credit)
                self._see_refusals(number, sender, refusals)
            case wire.Messages() as record:
                self._see_messages(number, sender, record)
            case wire.Want():
                self._mark("room asked for")
            case wire.Bye(reason):
                self._mark(f"bye: {reason}")
            case _:
                pass

    def _mark(self, what: str, so: object = True) -> None:
        self.marks[what] += bool(so)

    def _see_proven(self, crossing: Crossing) -> None:
        between = self._sim.network.between(crossing.sender, crossing.receiver)
        self._mark("proven while another is", any(each.number in self._proven for each in between))
        self._proven.add(crossing.connection.number)

    def _see_refusals(self, number: int, sender: str, refusals: Iterable[wire.Refusal]) -> None:
        for refusal in refusals:
            first = self._refusals.setdefault((sender, refusal.number, refusal.reason), number)
            self._mark("a refusal said again on another connection", first != number)

    def _see_messages(self, number: int, sender: str, record: wire.Messages) -> None:
        session = sender, self._epochs.get((number, sender), 0)
        last = record.first + sum(head.count for head in record.runs) - 1
        self._mark("written again", record.first <= self._written.get(session, 0))
        self._mark("skip", any(head.kind is wire.Kind.SKIP for head in record.runs))
        self._written[session] = max(last, self._written.get(session, 0))

    def end(self) -> None:
        """What nodes that run have counted."""
        for name in self._sim.running:
            network = self._sim[name]._network
            received = [record.receive for record in network.peers if record.receive is not None]
            self.marks["duplicates dropped"] += sum(receive.duplicates for receive in received)
            self.marks["late acknowledgements"] += sum(entry.outbox.transmit.late for entry in network.table)


def reached(name: str, wanted: Iterable[str], *, least: int, most: int, kind: type[Reach] = Reach) -> list[str]:
    """Run a scenario from one seed after the other, `least` at least, until it came upon all that is wanted.

    What it did not come upon within `most` seeds. Each run must go through. `kind`: who looks on.
    """
    missing = list(wanted)
    for seed in range(most):
        if seed >= least and not missing:
            break
        marks = marks_of(name, seed, kind)
        missing = [what for what in missing if not marks[what]]
    return missing


def marks_of(name: str, seed: int, kind: type[Reach] = Reach) -> Counter[str]:
    """What it comes upon from this seed."""
    reaches: list[Reach] = []

    async def watched(sim: Simulation) -> None:
        reach = kind(sim)
        reaches.append(reach)
        await SCENARIOS[name].body(sim)
        reach.end()

    result = run(watched, seed)
    assert not result.failed, f"{name} with seed {seed}: {result.words}"
    return reaches[0].marks + _of_history(result.history) + Counter(faults=len(result.faults))


def _of_history(history: History) -> Counter[str]:
    """Ends of messages (`lost peer_restarted`, `expired perhaps sent` …), and the rest by its name."""
    marks: Counter[str] = Counter()
    for record in history:
        match record:
            case Settled(outcome=outcome, reason=reason, maybe_sent=maybe_sent):
                marks[" ".join(filter(None, (outcome, reason, "perhaps sent" if maybe_sent else "")))] += 1
            case LinkDown(why=why):
                marks[f"link down: {why}"] += 1
            case Forgot():
                marks["forgot"] += 1
            case _:
                pass
    return marks
