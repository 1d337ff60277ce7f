"""`python -m actors`: the command `actors`."""

from __future__ import annotations

import sys

from actors.console.main import main

if __name__ == "__main__":
    sys.exit(main())
