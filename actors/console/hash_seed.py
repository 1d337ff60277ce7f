"""The order in which Python's sets come, the same in a recorded process and in its replay."""

from __future__ import annotations

import os
import secrets
import sys


def fix_hash_seed(wanted: str | None = None) -> None:
    """Go on in this process with a known PYTHONHASHSEED: this one, or a new one if there is none yet.

    Python reads it when it starts, so the command begins anew; what is open, and its process number, stay.
    """
    known = os.environ.get("PYTHONHASHSEED", "")
    if known == wanted or (wanted is None and known.isdecimal()):
        return
    os.environ["PYTHONHASHSEED"] = str(secrets.randbelow(1 << 32)) if wanted is None else wanted
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
