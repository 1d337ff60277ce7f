"""Signals that end a command: as an error in its nursery, so that everything it has opened is closed."""

from __future__ import annotations

from signal import SIGINT, SIGTERM

import trio

from actors.console.exits import Interrupted


async def end_by_signal(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Raises Interrupted at SIGINT or SIGTERM. A second one has its usual effect."""
    with trio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        task_status.started()
        async for signum in signals:
            raise Interrupted(signum)
