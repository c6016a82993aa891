"""The other side of a race: a small Hermes WebUI in a process of its own, true to formats.md in all that touches files.

It keeps the sessions that it has opened in memory and writes them back whole: unique temp, fsync, replace; a save that
shrinks the messages first leaves the old file as the backup; memory gives way to the disk only where the count there is
strictly larger, and in a version before 0.51.327 never. It answers ``GET /health`` where the environment tells it to
listen, by itself on a free port of the loopback, and leaves the notes of ``ctl.sh`` in the Hermes home.

As a program it obeys lines of JSON on stdin, each a list of a method's name and its arguments, and answers each with a
line of JSON; it ends with its stdin.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Session = dict[str, Any]

MARK_FIELDS = ("truncation_watermark", "truncation_boundary", "clear_generation", "intentional_shrink_generation")


class WebUI:
    """What the WebUI does with the sessions of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "webui" / "sessions"
        self.memory: dict[str, Session] = {}
        self.saved: dict[str, list[str]] = {}
        self.sync = True  # without it a save is as quick as on a fast disk
        self.reloads = True

    # --- sessions ---------------------------------------------------------------------------------------------------

    def get(self, sid: str) -> Session:
        """A session as the WebUI knows it."""
        known, on_disk = self.memory.get(sid), self.load(sid)
        if known is None or (
            self.reloads and on_disk is not None and on_disk["message_count"] > len(known["messages"])
        ):
            assert on_disk is not None
            self.memory[sid] = on_disk
        return self.memory[sid]

    def open(self, sid: str) -> None:
        """Have a session in the memory as it is on disk now."""
        session = self.load(sid)
        assert session is not None
        self.memory[sid] = session

    def know_no_marks(self, sid: str) -> None:
        """Have a session in the memory as a version has it that knows none of the marks of an act."""
        for name in MARK_FIELDS:
            self.get(sid).pop(name, None)

    def undo(self, sid: str) -> None:
        """The last prompt and what follows are taken back; a version without marks leaves none."""
        messages = self.get(sid)["messages"]
        del messages[max(k for k, message in enumerate(messages) if message["role"] == "user") :]
        self.save(sid)

    def load(self, sid: str) -> Session | None:
        data = self._read(f"{sid}.json")
        return None if data is None else json.loads(data)

    def save(self, sid: str) -> None:
        session = self.memory[sid]
        session["message_count"] = len(session["messages"])
        session["updated_at"] += 1.0
        old = self._read(f"{sid}.json")
        if old is not None and json.loads(old)["message_count"] > session["message_count"]:
            self._put(f"{sid}.json.bak", old)
        head = {name: value for name, value in session.items() if name != "messages"}
        self._put(f"{sid}.json", _dump({**head, "messages": session["messages"]}))
        rows = json.loads(self._read("_index.json") or b"[]")
        row = {name: session[name] for name in ("session_id", "title", "updated_at", "message_count")}
        self._put("_index.json", _dump([row, *(each for each in rows if each["session_id"] != sid)]))

    def say(self, sid: str) -> str:
        """A message comes in and is saved. Its text occurs nowhere else."""
        session = self.get(sid)
        told = self.saved.setdefault(sid, [])
        text = f"<{sid} said {len(told)}>"
        role = "assistant" if session["messages"] and session["messages"][-1]["role"] == "user" else "user"
        session["messages"].append({"role": role, "content": text, "timestamp": session["updated_at"] + 10.0})
        session["updated_at"] += 10.0
        self.save(sid)
        told.append(text)
        return text

    def forget(self, sid: str) -> bool:
        """The defect of a stale save: the last half of the messages is dropped without a mark, its backup is left.

        Not where the one backup that there is holds messages that are nowhere else: that loss would be our own.
        """
        session = self.get(sid)
        there, kept = self._read(f"{sid}.json"), self._read(f"{sid}.json.bak")
        if there is None or (kept is not None and not set(_texts(kept)) <= set(_texts(there))):
            return False
        if len(session["messages"]) < 4 or not set(_texts(there)) >= {each["content"] for each in session["messages"]}:
            return False
        del session["messages"][len(session["messages"]) // 2 :]
        self._put(f"{sid}.json.bak", there)
        self._put(f"{sid}.json", _dump({**session, "message_count": len(session["messages"])}))
        return True

    def stream(self, sid: str, stream: str | None) -> None:
        """An answer begins to stream into a session, or (None) none does any more."""
        self.get(sid)["active_stream_id"] = stream
        self.save(sid)

    def restore(self) -> list[str]:
        """What the WebUI does when it starts: a backup that holds more than its file takes the place of it, unless the
        file tells of an act that the backup does not know.
        """
        restored = []
        for backup in sorted(self.folder.glob("*.json.bak")):
            sid = backup.name.removesuffix(".json.bak")
            data, there = backup.read_bytes(), self.load(sid)
            older = json.loads(data)
            act = "intentional_shrink_generation"
            is_believed = there is not None and there.get(act) and there[act] != older.get(act)
            if there is None or (older["message_count"] > there["message_count"] and not is_believed):
                self._put(f"{sid}.json", data)
                restored.append(sid)
        return restored

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _put(self, name: str, data: bytes) -> None:
        stem = name.removesuffix(".json")
        temp = self.folder / f"{stem}.tmp.{os.getpid()}.{threading.get_ident()}"
        with temp.open("wb") as file:
            file.write(data)
            file.flush()
            if self.sync:
                os.fsync(file.fileno())
        os.replace(temp, self.folder / name)

    # --- the storm --------------------------------------------------------------------------------------------------

    def storm(self, seed: int) -> dict[str, Any]:
        """Save until the next line comes in, preferably while a repair has its new file ready beside the old one.

        Returns the messages that were saved for each session, and how many saves were aimed.
        """
        chance = random.Random(seed)
        sids = sorted(path.stem for path in self.folder.glob("[!_]*.json"))
        aimed = 0
        seen: set[str] = set()
        while not select.select([sys.stdin], [], [], 0)[0]:
            ready = {name for name in os.listdir(self.folder) if ".rescue.tmp." in name}
            for name in sorted(ready - seen):
                sid = name.removeprefix(".").partition(".json")[0]
                if sid in sids and chance.random() < 0.6:
                    self.sync = chance.random() < 0.3
                    self.say(sid)
                    aimed += 1
            seen = ready
            if chance.random() < 0.0005:
                self.say(chance.choice(sids))
            if chance.random() < 0.0005:
                self.forget(chance.choice(sids))
        return {"saved": self.saved, "aimed": aimed}

    # --- being there ------------------------------------------------------------------------------------------------

    def start(self, version: str | None = "0.52.262") -> int:
        """Answer, as this version, and note where. Returns the port."""
        port = self.listen(version)
        (self.home / "webui.pid").write_text(f"{os.getpid()}\n")
        (self.home / "webui.ctl.env").write_text(
            f"PID={os.getpid()}\nHOST=127.0.0.1\nPORT={port}\nSTATE_DIR={self.home / 'webui'}\n"
        )
        return port

    def listen(self, version: str | None = "0.52.262") -> int:
        """Answer, as this version, and leave no notes, as a server does that was started by hand. Returns the port."""
        webui = self
        self.reloads = version is not None and tuple(map(int, version.split("."))) >= (0, 51, 327)

        class Health(BaseHTTPRequestHandler):
            server_version = f"HermesWebUI/{version}" if version else "HermesWebUI"
            sys_version = ""

            def do_GET(self) -> None:
                streams = sum(bool(session.get("active_stream_id")) for session in webui.memory.values())
                answer = {"status": "ok", "active_streams": streams, "active_runs": streams}
                body = json.dumps({**answer, "sessions": len(webui.memory)}).encode()
                self.send_response(200 if self.path == "/health" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in os.environ.get("HERMES_WEBUI_HOST", "") else socket.AF_INET

            def handle_error(self, *_: object) -> None:
                """Who asked did not wait. Said on stderr, it could meet the end of this process, and be that."""

        host = os.environ.get("HERMES_WEBUI_HOST", "127.0.0.1")
        server = Listener((host, int(os.environ.get("HERMES_WEBUI_PORT", "0"))), Health)
        if certificate := os.environ.get("HERMES_WEBUI_TLS_CERT"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, os.environ["HERMES_WEBUI_TLS_KEY"])
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port


class OtherProcess:
    """A WebUI in another process: each method is called there, and returns what it returned."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, method: str, *arguments: object) -> Any:
        """Call a method and wait for its end."""
        self.begin(method, *arguments)
        return self.answer()

    def begin(self, method: str, *arguments: object) -> None:
        """Call a method that goes on until :meth:`end`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """End what was begun, and return what it returned."""
        self.begin("load", "")
        ended = self.answer()
        self.answer()
        return ended

    def answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def leave(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0

    @property
    def pid(self) -> int:
        return self._process.pid


@contextmanager
def webui_process(home: Path) -> Iterator[OtherProcess]:
    """A WebUI on a home, which has not said yet that it is there (``start``), under a name that nothing knows it by."""
    with _obeying([sys.executable, __file__, str(home)]) as process:
        yield process


@contextmanager
def server_process(home: Path, **environ: str) -> Iterator[OtherProcess]:
    """A WebUI as ``python server.py`` in a tree of the WebUI, which does not listen yet (``listen``, ``start``), with
    nothing in its environment but this.
    """
    with TemporaryDirectory() as name:
        tree = Path(name).resolve()
        (tree / "server.py").symlink_to(__file__)
        for part in ("api", "static"):
            (tree / part).mkdir()
        (tree / "ctl.sh").write_text("")
        with _obeying([sys.executable, "server.py", str(home)], cwd=tree, env=environ) as process:
            process("load", "")  # a process that is only just started does not show its command line yet
            yield process


@contextmanager
def _obeying(command: Sequence[str], **options: Any) -> Iterator[OtherProcess]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, **pipes, **options) as process:
        other = OtherProcess(process)
        yield other
        other.leave()


def _dump(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def _texts(data: bytes) -> Iterator[str]:
    return (message["content"] for message in json.loads(data)["messages"])


def main() -> None:
    """Obey until stdin ends."""
    webui = WebUI(Path(sys.argv[1]))
    while line := sys.stdin.readline():
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(webui, method)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
