"""The command as tests run it: in this process, and what it printed; or a cluster that goes on in its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest

Capture: TypeAlias = pytest.CaptureFixture[str]


def envelope(capture: Capture) -> dict[str, Any]:
    """What `--json` has printed."""
    found: dict[str, Any] = json.loads(capture.readouterr().out)
    assert found["schema"] == "actors/v1"
    return found


def data_of(capture: Capture) -> dict[str, Any]:
    """The data in it."""
    data: dict[str, Any] = envelope(capture)["data"]
    return data


@contextmanager
def running_up(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`actors up`, once it is up."""
    command = [sys.executable, "-m", "actors", "up", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
        try:
            assert up.stdout is not None
            assert up.stdout.readline().startswith(b"{")
            yield up
        finally:
            up.kill()
