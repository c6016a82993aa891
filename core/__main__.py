"""Where the terminal front starts, also as ``python -m core``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; always ends in SystemExit."""
    from core import cli

    cli.main()


if __name__ == "__main__":
    main()
