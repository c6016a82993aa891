"""Where the terminal front starts, also as ``python -m hermes_rescue.core``.

Worker processes load what started the program once more, so this loads nothing by itself.
"""


def main(*, is_module: bool = False) -> None:
    """Run the command line; always ends in SystemExit. ``is_module``: it was started with ``python -m``."""
    import _signal  # type: ignore[import-not-found]  # a part of Python itself, which loads nothing

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until the command watches for it: no traceback
    from hermes_rescue.core.base.safe_path import leave_current_folder

    leave_current_folder(is_module=is_module)  # before anything else is loaded
    from hermes_rescue.core.base.owner import take_process

    take_process()
    import gc

    gc.disable()  # it would look at every message again and again, and finds nothing: the engine makes no cycles
    from hermes_rescue.core.terminal import commands

    commands.main()


if __name__ == "__main__":
    main(is_module=True)
