"""Where the terminal front starts, also as ``python -m hermes_rescue.core``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""


def main(*, is_module: bool = False) -> None:
    """Run the command line; always ends in SystemExit. ``is_module``: it was started with ``python -m``."""
    from hermes_rescue.core.base.safe_path import leave_current_folder

    leave_current_folder(is_module=is_module)  # before anything else is loaded
    from hermes_rescue.core.base.owner import take_process

    take_process()
    import gc
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command watches for it: no traceback
    gc.disable()  # it would look at every message again and again, and finds nothing: the engine makes no cycles
    from hermes_rescue.core.terminal import commands

    commands.main()


if __name__ == "__main__":
    main(is_module=True)
