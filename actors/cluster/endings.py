"""The end of a process that is not a child of this one."""

from __future__ import annotations

import os

import trio

_LOOK = 0.02
"""Seconds between two looks, where the kernel does not tell."""


async def wait_ended(pid: int) -> None:
    """Returns once the process has ended, whether or not its parent has noticed."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or not all of it
        while _exists(pid):  # noqa: ASYNC110 - nothing wakes us
            await trio.sleep(_LOOK)
        return
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
