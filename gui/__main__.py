"""Where the window starts, also as ``python -m hermes_rescue.gui``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""


def main(*, is_module: bool = False) -> None:
    """Open the window; raises SystemExit when it is closed, or cannot be opened. ``is_module``: it was started with
    ``python -m``.
    """
    from hermes_rescue.core.base.safe_path import leave_current_folder

    leave_current_folder(is_module=is_module)  # before anything else is loaded
    from hermes_rescue.core.base.owner import take_process

    take_process()
    import sys

    from hermes_rescue.gui import start

    asked = start.options(sys.argv[1:])
    start.require_window(asked)  # before Qt, which would end the process
    from hermes_rescue.gui.shell import app

    app.main(asked)


if __name__ == "__main__":
    main(is_module=True)
