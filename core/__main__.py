"""Where the terminal front starts, also as ``python -m hermes_rescue.core``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line; always ends in SystemExit."""
    gc.disable()  # it would look at every message again and again, and finds nothing: the engine makes no cycles
    from hermes_rescue.core.terminal import commands

    commands.main()


if __name__ == "__main__":
    main()
