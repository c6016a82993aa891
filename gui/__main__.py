"""Where the window starts, also as ``python -m hermes_rescue.gui``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""

from __future__ import annotations


def main() -> None:
    """Open the window; raises SystemExit when it is closed."""
    from hermes_rescue.gui import app

    app.main()


if __name__ == "__main__":
    main()
