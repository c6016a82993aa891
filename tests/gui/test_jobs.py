"""Work outside the GUI thread: what is heard of it, and what never is."""

from __future__ import annotations

import threading
import weakref

from hermes_rescue.core import api
from hermes_rescue.core.audit.workers import Cancelled
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.gui.background.jobs import Context, Jobs
from hermes_rescue.gui.background.tasks import run_repair
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot


def test_a_job_runs_elsewhere_and_is_heard_here(qtbot: QtBot) -> None:
    jobs = Jobs()
    threads: list[object] = []
    job = jobs.prepare("k", lambda _: threads.append(threading.current_thread()) or 42)
    with qtbot.waitSignal(job.done) as heard:
        job.done.connect(lambda _: threads.append(threading.current_thread()))
        job.start()
    assert heard.args == [42]
    assert threads[0] is not threads[1]
    assert threads[1] is threading.main_thread()
    jobs.wait()


def test_an_error_is_told_and_not_lost(qtbot: QtBot) -> None:
    jobs = Jobs()
    job = jobs.prepare("k", lambda _: 1 // 0)
    with qtbot.waitSignal(job.failed) as heard:
        job.start()
    assert isinstance(heard.args[0], ZeroDivisionError)
    jobs.wait()


def test_a_newer_job_silences_the_older_one(qtbot: QtBot) -> None:
    jobs = Jobs()
    go = threading.Event()
    said: list[str] = []

    def slow(context: Context) -> str:
        go.wait()
        context.partial("late")
        context.progress(1, 1)
        return "old"

    old = jobs.prepare("k", slow)
    for signal in (old.done, old.emitted):
        signal.connect(said.append)
    old.progressed.connect(lambda *_: said.append("progress"))
    old.start()
    new = jobs.prepare("k", lambda _: "new")
    new.done.connect(said.append)
    with qtbot.waitSignal(new.done):
        new.start()
    go.set()
    jobs.wait()
    QApplication.processEvents()
    assert said == ["new"]


def test_what_is_about_another_store_than_the_one_of_now_is_never_heard(qtbot: QtBot) -> None:
    jobs = Jobs()
    go = threading.Event()
    said: list[object] = []

    def slow(context: Context) -> object:
        go.wait()
        return context.should_cancel()

    old = jobs.prepare("a", slow)
    old.done.connect(said.append)
    old.start()
    jobs.turn_to(1)
    new = jobs.prepare("b", slow)
    new.done.connect(said.append)
    with qtbot.waitSignal(new.done):
        new.start()
        go.set()
    jobs.wait()
    QApplication.processEvents()
    assert said == [False]


def test_a_job_begins_when_those_before_it_have_ended(qtbot: QtBot) -> None:
    jobs = Jobs()
    go = threading.Event()
    order: list[str] = []

    def read(_: Context) -> None:
        go.wait()
        order.append("read")

    reading = jobs.prepare("read", read)
    reading.start()
    reading.drop()
    writing = jobs.prepare("write", lambda _: order.append("written"), after="read")
    with qtbot.waitSignal(writing.done):
        writing.start()
        go.set()
    jobs.wait()
    assert order == ["read", "written"]


class _Large:
    """Something that takes a while to be let go of."""


def test_what_a_cancelled_job_held_goes_in_its_own_thread(qtbot: QtBot) -> None:
    jobs = Jobs()
    gone_in: list[object] = []

    def work(_: Context) -> None:
        large = _Large()
        weakref.finalize(large, lambda: gone_in.append(threading.current_thread()))
        raise Cancelled

    job = jobs.prepare("k", work)
    with qtbot.waitSignal(job.cancelled):
        job.start()
    jobs.wait()
    assert len(gone_in) == 1
    assert gone_in[0] is not threading.main_thread()


def test_cancelling_asks_the_job_to_stop(qtbot: QtBot) -> None:
    jobs = Jobs()
    started = threading.Event()

    def work(context: Context) -> None:
        started.set()
        while not context.should_cancel():
            QThread.usleep(100)
        raise Cancelled

    job = jobs.prepare("k", work)
    with qtbot.waitSignal(job.cancelled):
        job.start()
        started.wait()
        jobs.cancel("k")
    jobs.wait()


def test_progress_comes_at_most_ten_times_a_second_and_always_at_the_end(qtbot: QtBot) -> None:
    jobs = Jobs()
    heard: list[tuple[int, int]] = []

    def work(context: Context) -> None:
        for k in range(200_001):
            context.progress(k, 200_000)

    job = jobs.prepare("k", work)
    job.progressed.connect(lambda done, total: heard.append((done, total)))
    with qtbot.waitSignal(job.done, timeout=60_000):
        job.start()
    assert heard[-1] == (200_000, 200_000)
    assert len(heard) < 2_000
    jobs.wait()


def test_thousands_of_signals_do_no_harm(qtbot: QtBot) -> None:
    """One version of the toolkit lost a reference to True at every emission and died after some hundred."""
    jobs = Jobs()
    heard = 0

    def count(value: object) -> None:
        nonlocal heard
        heard += value is True

    def work(context: Context) -> None:
        for _ in range(20_000):
            context.partial(True)

    job = jobs.prepare("k", work)
    job.emitted.connect(count)
    with qtbot.waitSignal(job.done, timeout=60_000):
        job.start()
    assert heard == 20_000
    jobs.wait()


def test_the_progress_of_a_repair_is_one_of_all_its_sessions(qtbot: QtBot, demo: DemoStore) -> None:
    plan = api.plan(find_store(home=demo.home))
    assert plan.relisted
    jobs, totals = Jobs(), set[int]()
    job = jobs.prepare("k", run_repair(plan))
    job.progressed.connect(lambda _, total: totals.add(total))
    with qtbot.waitSignal(job.done, timeout=60_000):
        job.start()
    assert totals == {plan.count}
    jobs.wait()
