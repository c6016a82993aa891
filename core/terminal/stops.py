"""What becomes of a command that a signal stops: Ctrl+C, SIGTERM, or SIGHUP from a terminal that is closed.

What only reads is left at once, by :class:`Stopped`. What writes goes on to its next safe point (:func:`held`), and
asks :func:`is_requested` whether it is to end there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from hermes_rescue.core.terminal import progress

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_STOPPING = "Stopping when the current session is done."
_UNCHANGED = "Stopped. No session was changed."


class Stopped(BaseException):
    """A signal ended the command."""


@dataclass(slots=True)
class _State:
    number: int = 0  # the signal that came, 0 for none
    is_held: bool = False
    is_announced: bool = False  # that one came while held
    is_raised: bool = False
    sentence: str = _UNCHANGED


_state = _State()


@contextmanager
def watched() -> Iterator[None]:
    """Signals stop the command inside; those that whoever started it has it ignore (nohup) stay ignored."""
    global _state
    _state = _State()
    before: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _on_signal)
    unraisable, sys.unraisablehook = sys.unraisablehook, _on_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


@contextmanager
def held(sentence: str) -> Iterator[None]:
    """Signals are only noted inside. ``sentence`` is true from then on, of a command that a signal stops."""
    _state.is_held = True
    announce_at_stop(sentence)
    try:
        yield
    finally:
        _state.is_held = False


def announce_at_stop(sentence: str) -> None:
    """What a person reads from now on if a signal stops the command."""
    _state.sentence = sentence


def sentence() -> str:
    """What to report of a command that was stopped."""
    return _state.sentence


def is_requested() -> bool:
    """Whether a signal has asked the command to stop."""
    return _state.number != 0


def is_ending() -> bool:
    """Whether :class:`Stopped` was raised: whatever error comes then may be what became of it on its way. Python makes
    a SyntaxError of it where it stops the loading of a module.
    """
    return _state.is_raised


def status() -> int:
    """The exit status of a command that a signal stopped, as shells count it; that of Ctrl+C where none came."""
    return 128 + (_state.number or int(signal.SIGINT))


def _on_signal(number: int, _: FrameType | None) -> None:
    is_first = not _state.number
    _state.number = _state.number or number
    if not _state.is_held:
        if is_first:  # a second one finds the first on its way out
            _state.is_raised = True
            raise Stopped
    elif not _state.is_announced:
        _state.is_announced = True
        line = progress.notice(_STOPPING) if progress.is_asked() else f"\n{_STOPPING}"
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"{line}\n".encode())


def _on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """A signal in the middle of a destructor cannot end the command there, and is no error of it."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
