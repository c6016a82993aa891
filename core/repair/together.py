"""Several works at the same time that mostly wait for the disk: what it is asked for at once costs it little more."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from types import TracebackType


class Together(AbstractContextManager["Together"]):
    """Threads for at most so many works. At the end of the ``with`` each that was begun has come to its own, also
    where an error ends it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool = ThreadPoolExecutor(most)
        self._under_way: set[Future[object]] = set()

    def begin(self, work: Callable[[], object]) -> None:
        """Begin a work as soon as there is a place for it. Raises what ended an earlier one."""
        if len(self._under_way) == self._most:
            self._wait(FIRST_COMPLETED)
        self._under_way.add(self._pool.submit(work))

    def finish(self) -> None:
        """Wait for the end of all that was begun. Raises what ended one of them."""
        self._wait(ALL_COMPLETED)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            if error is None:
                self.finish()

    def _wait(self, until: str) -> None:
        done, self._under_way = wait(self._under_way, return_when=until)
        for each in done:
            each.result()
