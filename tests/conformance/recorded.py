"""Hold the engine against what the recorder has written: every session of every step, healthy and damaged.

    PYTHONPATH=build/editable python tests/conformance/recorded.py OUT [--only TEXT] [--damage NAME]... [--list]
    PYTHONPATH=build/editable python tests/conformance/recorded.py OUT --only 0.52.76/3/lost --write HOME

A healthy session may be asked about, and never changes. A damaged one becomes what the server had shown, or is asked
about and has nothing in it that the server did not show; another repair changes nothing, and undo gives every byte
back. ``--write`` leaves a damaged home to look at.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.hermes.workspace_tag import untag

SLOWER = 40
"""How many times as long everything takes in the stretched variant: turns of minutes."""

STAMP = re.compile(rb"\b1[0-9]{9}(?:\.[0-9]+)?\b")
"""A time in seconds, as it stands in the files."""


@dataclass(frozen=True)
class Files:
    """The files of one session in a home, and those of the step before."""

    home: Path
    before: Path | None
    sid: str

    @property
    def live(self) -> Path:
        return self.home / "webui" / "sessions" / f"{self.sid}.json"

    @property
    def backup(self) -> Path:
        return self.live.with_suffix(".json.bak")

    @property
    def older(self) -> bytes | None:
        """The file as it was one act before."""
        path = self.before / "webui" / "sessions" / self.live.name if self.before is not None else self.live
        return path.read_bytes() if self.before is not None and path.is_file() else None

    def wipe(self, backup: bytes | None) -> None:
        """An emptied file beside this backup."""
        session = json.loads(self.live.read_bytes())
        empty = {"messages": [], "tool_calls": [], "context_messages": [], "message_count": 0}
        session |= {name: value for name, value in empty.items() if name in session}
        self.live.write_text(json.dumps(session, ensure_ascii=False, indent=2), encoding="utf-8")
        self.back_up(backup)

    def back_up(self, backup: bytes | None) -> None:
        """This backup and no other."""
        self.backup.unlink(missing_ok=True)
        if backup is not None:
            self.backup.write_bytes(backup)

    def tear(self, percent: int) -> None:
        """A file of which the end is missing."""
        data = self.live.read_bytes()
        self.live.write_bytes(data[: len(data) * percent // 100])

    def lose(self, *, backup: bool) -> None:
        """No file; the backup stays where it is said."""
        self.live.unlink()
        if not backup:
            self.backup.unlink(missing_ok=True)


def _wiped_by_a_save(files: Files) -> None:
    files.wipe(files.live.read_bytes())


def _wiped(files: Files) -> None:
    files.wipe(files.backup.read_bytes() if files.backup.exists() else None)


def _stale(files: Files) -> None:
    if files.older is not None:
        files.live.write_bytes(files.older)


DAMAGES: Mapping[str, Callable[[Files], None]] = {
    "healthy": lambda _: None,
    "older-backup": lambda files: files.back_up(files.older),
    "wiped-by-save": _wiped_by_a_save,
    "wiped": _wiped,
    "wiped-older-backup": lambda files: files.wipe(files.older),
    "wiped-no-backup": lambda files: files.wipe(None),
    "lost": lambda files: files.lose(backup=True),
    "lost-no-backup": lambda files: files.lose(backup=False),
    "torn-30": lambda files: files.tear(30),
    "torn-60": lambda files: files.tear(60),
    "torn-95": lambda files: files.tear(95),
    "stale": _stale,
}

INTACT = ("healthy", "older-backup")
"""What leaves the session file as it is."""

NOTICE = '["assistant", "**'
"""What a message of the server's own begins with here, which no other copy has."""

JOURNALS = ("_run_journal", "_turn_journal")


@dataclass(frozen=True)
class Case:
    """One step of a recording, damaged in one way."""

    step: Path
    damage: str
    journals: bool
    slower: int

    @property
    def name(self) -> str:
        """Version, step and damage."""
        ways = ("" if self.journals else "+no-journals") + ("" if self.slower == 1 else "+slow")
        return f"{self.step.parent.name}/{self.step.name}/{self.damage}{ways}"

    @property
    def truth(self) -> dict[str, Any]:
        """What the recorder says of each session of this step."""
        found: dict[str, Any] = json.loads((self.step / "truth.json").read_text(encoding="utf-8"))
        return found

    def write(self, home: Path) -> dict[str, list[str]]:
        """The damaged home, and the right transcript of each of its sessions."""
        shutil.copytree(self.step / "store", home)
        before = self.step.with_name(str(int(self.step.name) - 1)) / "store"
        earlier = home.with_name(home.name + "-before") if before.is_dir() else None
        if earlier is not None:
            shutil.copytree(before, earlier)
        if self.slower > 1:
            end = max(path.stat().st_mtime for path in home.rglob("*.json"))
            for each in filter(None, (home, earlier)):
                stretch(each, end, self.slower)
        truth = {}
        for sid in self.truth:
            files = Files(home, earlier, sid)
            truth[sid] = said(files.live.read_bytes()) or []
            DAMAGES[self.damage](files)
        if not self.journals:
            for name in JOURNALS:
                shutil.rmtree(home / "webui" / "sessions" / name, ignore_errors=True)
        if earlier is not None:
            shutil.rmtree(earlier)
        return truth


def stretch(home: Path, end: float, factor: int) -> None:
    """Everything took that many times as long, and ended when it did."""
    slower = lambda time: end - (end - time) * factor if end - 100_000 < time <= end + 100 else time  # noqa: E731
    in_text = lambda found: repr(slower(float(found[0]))).encode()  # noqa: E731
    for path in home.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".bak"):
            path.write_bytes(STAMP.sub(in_text, path.read_bytes()))
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.create_function("slower", 1, slower)
        for table, column in (("messages", "timestamp"), ("sessions", "started_at"), ("sessions", "ended_at")):
            database.execute(f"UPDATE {table} SET {column} = slower({column}) WHERE {column} IS NOT NULL")
        database.commit()


def said(data: bytes | None) -> list[str] | None:
    """What the messages of a file say; None where it cannot be read."""
    try:
        return [_said(m) for m in json.loads(data or b"")["messages"]]
    except (ValueError, KeyError):
        return None


def _said(m: dict[str, Any]) -> str:
    content = str(m.get("content") or "")
    text = untag(content)[0] if m["role"] == "user" else content
    calls = [call.get("id") for call in m.get("tool_calls") or []]
    return json.dumps([m["role"], " ".join(text.split()), calls, m.get("tool_call_id")], ensure_ascii=False)


def judged(case: Case) -> Iterator[tuple[str, str]]:
    """For each session its scene, and what came of it: right, asked, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="recorded-") as folder:
        home = Path(folder, "home")
        truths = case.write(home)
        store, places = api.find_store(home=home), {sid: Files(home, None, sid).live for sid in truths}
        damaged = _contents(home)
        findings = {s.session_id: s.findings for s in api.audit(store).sessions}
        result = api.apply(api.plan(store))
        repaired = _contents(home)
        again = api.apply(api.plan(store))
        repaired_again = _contents(home)
        asked = {
            s.session_id for s in api.audit(store).sessions if any(f.category is Category.REVIEW for f in s.findings)
        }
        for run in (again, result):
            if run.run_id is not None:
                api.undo(store, run.run_id)
        undone = _contents(home)
        texts = {sid: said(repaired.get(path)) for sid, path in places.items()}
        for sid, facts in case.truth.items():
            path, scene = places[sid], f"{facts['scene']} ({facts['act']})"
            old, new = damaged.get(path), repaired.get(path)
            offered = [f.name for f in findings.get(sid, ()) if f.category is Category.REPAIRABLE]
            wrong = ""
            if undone != damaged:
                wrong = f"undo leaves {[p.name for p in damaged | undone if undone.get(p) != damaged.get(p)]}"
            elif repaired_again.get(path) != new:
                wrong = "a second repair changes it"
            elif case.damage in INTACT and (new != old or offered):
                wrong = f"a healthy session is changed or offered: {offered}"
            elif texts[sid] != truths[sid]:
                wrong = _difference(texts[sid], truths[sid], said(old), is_asked=sid in asked)
            yield scene, wrong or ("asked" if sid in asked else "right")


def _difference(got: list[str] | None, truth: list[str], old: list[str] | None, *, is_asked: bool) -> str:
    """What is wrong with a transcript, "" where a question says that it is not all. What a file holds may stay."""
    if got is None:
        return "" if is_asked else "left damaged, and nothing is asked"
    if got == old and is_asked:
        return ""
    here, there = Counter(got), Counter(truth)
    there -= Counter({m: n for m, n in (there - here).items() if m.startswith(NOTICE)})
    if more := [m for m in here - there if m not in (old or ())]:
        kind = "doubled" if more[0] in there else "taken back or foreign"
        return f"{kind}: {more[0][:90]}"
    if here != there and not is_asked and (got != old or there - here):
        return f"{(there - here).total()} are missing, {(here - there).total()} too many, and nothing is asked"
    return "" if here != there or got == [m for m in truth if m in here] else "another order"


def _contents(home: Path) -> dict[Path, bytes]:
    """The bytes of all files but those of the vault, and of SQLite's shared memory."""
    vault = home / "webui" / "rescue"
    files = (p for p in home.rglob("*") if p.is_file() and vault not in p.parents and p.suffix != ".db-shm")
    return {path: path.read_bytes() for path in files}


def cases(out: Path) -> Iterator[Case]:
    """All of a folder of recordings."""
    for step in sorted(path.parent for path in out.glob("*/*/truth.json")):
        for damage in DAMAGES:
            for journals, slower in ((True, 1), (False, 1), (True, SLOWER), (False, SLOWER)):
                yield Case(step, damage, journals, slower)


def _judge(case: Case) -> tuple[Case, list[tuple[str, str]]]:
    try:
        return case, [*judged(case)]
    except Exception as e:  # the others are judged all the same
        return case, [("all", f"raises {e!r}")]


def main() -> int:
    """Exit status 0 only if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="a part of the name of a case")
    parser.add_argument("--damage", action="append", choices=DAMAGES)
    parser.add_argument("--list", action="store_true", help="everything that is wrong")
    parser.add_argument("--asked", action="store_true", help="and what is asked")
    parser.add_argument("--write", type=Path, metavar="HOME")
    options = parser.parse_args()
    chosen = [c for c in cases(options.out) if options.only in c.name and c.damage in (options.damage or DAMAGES)]
    if options.write:
        chosen[0].write(options.write)
        print(chosen[0].name)
        return 0
    counts: dict[str, Counter[str]] = {}
    with ProcessPoolExecutor(2) as pool:
        for case, found in pool.map(_judge, chosen):
            for scene, verdict in found:
                word = verdict if verdict in ("right", "asked") else "wrong"
                counts.setdefault(case.damage, Counter())[word] += 1
                if (options.list and word == "wrong") or (options.asked and word == "asked"):
                    print(f"{case.name}  {scene}: {verdict}", flush=True)
    for damage, count in counts.items():
        print(f"{damage:20s} " + ", ".join(f"{count[word]:5d} {word}" for word in ("right", "asked", "wrong")))
    return any(count["wrong"] for count in counts.values())


if __name__ == "__main__":
    sys.exit(main())
