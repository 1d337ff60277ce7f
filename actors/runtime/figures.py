"""Figures of engines as snapshots, for people. Reads what the runtime keeps; changes nothing."""

from __future__ import annotations

from actors.engine import Guard
from actors.runtime.cell import Cell
from actors.runtime.runtime import Runtime
from actors.runtime.work import Work
from actors.snapshots import EngineSnapshot, GuardSnapshot, HandledSnapshot, WorkSnapshot


def engine_snapshots(node: str, runtime: Runtime) -> list[EngineSnapshot]:
    """Each engine of the node of this name, the network's own included."""
    return [_engine(node, cell, runtime.waits.waiting(name)) for name, cell in runtime.directory.items()]


def _engine(node: str, cell: Cell, waits_on: tuple[str, ...]) -> EngineSnapshot:
    engine = cell.statistics()
    return EngineSnapshot(
        node=node,
        name=engine.name,
        type=engine.type,
        state=engine.state,
        held=engine.mailbox.held,
        capacity=engine.mailbox.capacity,
        handled=engine.handled,
        crashes=engine.crashes,
        restarts=engine.restarts,
        held_bytes=engine.mailbox.held_bytes,
        waiting=engine.waiting,
        reserved=engine.reserved,
        unhandled=engine.unhandled,
        late=engine.late,
        timers=engine.timers,
        children=engine.children,
        spawner=engine.spawner,
        waits_on=waits_on,
        took_p50_ms=_millis(engine.took_p50),
        took_p99_ms=_millis(engine.took_p99),
    )


def work_snapshot(cell: Cell) -> WorkSnapshot:
    """One engine, looked at closely."""
    now, work = cell.runtime.clock.now(), cell.work
    return WorkSnapshot(
        engine=cell.name,
        guards=tuple(_guard(guard, work) for guard in type(cell.pristine).behaviour),
        messages=tuple(
            HandledSnapshot(
                ago=now - one.at,
                sender=f"{one.sender.node or ''}/{one.sender.name}",
                tag=one.tag,
                head=one.head,
                took_ms=_millis(one.took),
            )
            for one in work.last
        ),
    )


def _guard(guard: Guard, work: Work) -> GuardSnapshot:
    return GuardSnapshot(
        message=str(guard.message.__struct_config__.tag),
        when="" if guard.when is None else getattr(guard.when, "__name__", "a guard"),
        action=guard.name,
        held=work.hits.get(guard.action, 0),
    )


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
