"""Where the window starts, also as ``python -m hermes_rescue.gui``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""


def main(*, is_module: bool = False) -> None:
    """Open the window; raises SystemExit when it is closed. ``is_module``: it was started with ``python -m``."""
    from hermes_rescue.core.base.safe_path import leave_current_folder

    leave_current_folder(is_module=is_module)  # before anything else is loaded
    from hermes_rescue.core.base.owner import take_process

    take_process()
    from hermes_rescue.gui.shell import app

    app.main()


if __name__ == "__main__":
    main(is_module=True)
