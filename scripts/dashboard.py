"""The dashboard of a running cluster: `actors ui`, from a checkout. Options are those of the command."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from actors.console.main import main

    sys.exit(main(["ui", *sys.argv[1:]]))
