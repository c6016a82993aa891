"""Record what a real Hermes WebUI writes: scenes played over HTTP, with a copy of its home after every act.

    python tests/conformance/recorder.py OUT --webui TREE --agent DIR --python PYTHON [--scene NAME]...

TREE is a checkout of the WebUI, named by its version, DIR an unpacked agent, PYTHON one that has the requirements of
both. The scenes are sessions of one home, with a model that answers by itself; all of it listens on 127.0.0.1 only.
OUT/<version>/<step>/store is the home after the acts of that number, and truth.json beside it says of each session
which act that was and which messages the server shows then.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCENES = {
    "turns": "say, tool, say, tool",
    "same": "same, same, tool, same, undo, same",
    "regenerate": "say, say, regenerate, say",
    "regenerate-tool": "say, tool, regenerate, say, tool",
    "regenerate-first": "tool, regenerate, tool",
    "regenerate-same": "say, same, regenerate, say",
    "regenerate-twice": "say, tool, regenerate, regenerate, say",
    "retry": "say, say, retry, say",
    "retry-tool": "say, tool, retry, tool",
    "edit": "say, tool, say, edit 1, say",
    "edit-first": "tool, say, edit 0, say",
    "edit-regenerated": "say, tool, regenerate, edit 1, say",
    "undo": "say, tool, say, undo, tool, say",
    "undo-twice": "say, tool, say, tool, undo, undo, say",
    "undo-apart": "say, say, undo, tool, say, undo, say",
    "undo-all": "say, undo, say, tool",
    "clear": "say, tool, clear, say, tool",
    "clear-undo": "say, clear, tool, say, undo, say",
    "compress": "say, tool, say, tool, compress, say",
    "undo-compress": "say, tool, say, tool, undo, compress, say",
    "compress-undo": "say, tool, say, tool, compress, undo, say",
}
"""What is played, in the words of :class:`Player`."""

SLOW = 1.2
"""Seconds that a slow tool takes: more than the clocks of a file and of its rows ever differ by without one."""

WAIT = 120.0
"""Seconds after which a server or a turn counts as failed."""

AT_ONCE = 4
"""How many scenes are played at the same time."""

SETTLED = 0.6
"""Seconds that a server gets to save what it saves after a turn."""

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grain", "heath", "inlet", "jetty", "kelp", "larch")
"""What answers are made of, so that none is taken for another one with a damaged place."""

COPIED = ("state.db*", "webui", "config.yaml", "sessions")


class Model(BaseHTTPRequestHandler):
    """A model that OpenAI's clients can talk to. It never gives the same answer twice, unless it is asked for "the
    same"; asked for "a tool", it calls the terminal first.
    """

    protocol_version = "HTTP/1.1"
    count = itertools.count(1)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """The list of models."""
        self._json({"object": "list", "data": [{"id": "recorded", "object": "model", "context_length": 200_000}]})

    def do_POST(self) -> None:
        """A chat completion."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        message, reason = self._answer(body)
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
            self._json({**_chunk(), "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for call in message.get("tool_calls", ()):
            call["index"] = 0
        deltas = [({"role": "assistant", "content": ""}, None), (message, None), ({}, reason)]
        events = [_chunk({"index": 0, "delta": delta, "finish_reason": end}) for delta, end in deltas]
        with contextlib.suppress(OSError):
            for event in (*events, {**_chunk(), "choices": [], "usage": usage}):
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            self.wfile.write(b"data: [DONE]\n\n")

    def _answer(self, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        messages = body.get("messages", [])
        prompts = [k for k, m in enumerate(messages) if m.get("role") == "user"]
        prompt = _text(messages[prompts[-1]]) if prompts else ""
        if not body.get("tools"):  # a title, or the summary of a compression
            return {"content": "Notes of what was said"}, "stop"
        if "the same" in prompt:
            return {"content": "That is the same as it was, in so many words."}, "stop"
        number, has_result = next(self.count), messages[-1].get("role") == "tool"
        if "a tool" in prompt and not has_result:
            arguments = json.dumps({"command": f"sleep {SLOW}; echo result {number}"})
            call = {
                "id": f"call_{number:04}{os.urandom(8).hex()}",
                "type": "function",
                "function": {"name": "terminal", "arguments": arguments},
            }
            return {"content": f"I look it up, attempt {number}.", "tool_calls": [call]}, "tool_calls"
        words = " ".join(WORDS[byte % len(WORDS)] for byte in sha256(str(number).encode()).digest()[:14])
        return {"content": f"Answer {number}: {words}."}, "stop"

    def _json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _chunk(*choices: dict[str, Any]) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": int(time.time()), "model": "recorded"}
    return {**head, "choices": list(choices)}


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


class WebUI:
    """A real server on a home, which ends with the ``with`` block."""

    def __init__(self, options: argparse.Namespace, home: Path, model_port: int) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = home.parent / "server.log"
        (home / "workspace").mkdir(parents=True)
        (home / "config.yaml").write_text(
            f"model:\n  default: recorded\n  provider: custom\n  base_url: http://127.0.0.1:{model_port}/v1\n"
            "  api_key: none\n  context_length: 200000\n",
            encoding="utf-8",
        )
        foreign = ("http_proxy", "https_proxy", "all_proxy")
        env = {k: v for k, v in os.environ.items() if not k.startswith("HERMES") and k.lower() not in foreign}
        env |= {
            "HOME": str(home.parent),
            "HERMES_HOME": str(home),
            "HERMES_WEBUI_STATE_DIR": str(home / "webui"),
            "HERMES_WEBUI_AGENT_DIR": str(options.agent),
            "HERMES_WEBUI_PYTHON": str(options.python),
            "HERMES_WEBUI_HOST": "127.0.0.1",
            "HERMES_WEBUI_PORT": str(self.port),
            "HERMES_WEBUI_DEFAULT_WORKSPACE": str(home / "workspace"),
            "HERMES_WEBUI_SKIP_ONBOARDING": "1",
            "HERMES_WEBUI_NO_DOTENV": "1",
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
            "PYTHONPATH": str(options.agent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(options.python), "server.py"],
                cwd=options.webui,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> WebUI:
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.get("/health")
                return self
            time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"The WebUI does not answer: {self.log.read_text(errors='replace')[-800:]}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a tool that it started, in its own group

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """What it answers."""
        return self._answer(urllib.request.Request(f"{self.base}{path}?{urllib.parse.urlencode(query)}"))

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """What it answers."""
        head = {"Content-Type": "application/json"}
        return self._answer(urllib.request.Request(self.base + path, json.dumps(body).encode(), head))

    def _answer(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{request.full_url}: {e.code} {e.read(300)!r}") from e
        return found if isinstance(found, dict) else {}


class Player:
    """One session of a server, and the acts of a person in it."""

    def __init__(self, webui: WebUI) -> None:
        self.webui = webui
        self.sid = str(webui.post("/api/session/new")["session"]["session_id"])
        self.number = itertools.count(1)

    def shown(self) -> dict[str, Any]:
        """The session as the server shows it."""
        return dict(self.webui.get("/api/session", session_id=self.sid)["session"])

    def play(self, act: str) -> None:
        """Do what one word of a scene says."""
        name, _, place = act.partition(" ")
        if name == "edit":
            self.edit(int(place))
        else:
            getattr(self, name)()
        time.sleep(SETTLED)

    def say(self) -> None:
        """A prompt."""
        self.send(f"Question {next(self.number)}: what is there to say?")

    def tool(self) -> None:
        """A prompt that needs a slow tool."""
        self.send(f"Question {next(self.number)}: look it up with a tool.")

    def same(self) -> None:
        """A prompt that says what others say, and so does its answer."""
        self.send("Say the same again.")

    def regenerate(self) -> None:
        """The button below the newest answer: since 0.52.248 an act of the server, before that a cut and the prompt."""
        session = self.shown()
        if revision := session.get("regeneration_revision"):
            self.send(regenerate=True, regeneration_revision=revision)
            return
        messages = session["messages"]
        answer = max(k for k, m in enumerate(messages) if m["role"] == "assistant")
        prompt = next(_text(m) for m in reversed(messages[:answer]) if m["role"] == "user")
        self.webui.post("/api/session/truncate", session_id=self.sid, keep_count=answer)
        self.send(prompt)

    def retry(self) -> None:
        """The command of that name."""
        self.send(str(self.webui.post("/api/session/retry", session_id=self.sid)["last_user_text"]))

    def edit(self, place: int) -> None:
        """Say something else in the place of a prompt."""
        messages = self.shown()["messages"]
        prompts = [k for k, m in enumerate(messages) if m["role"] == "user"]
        self.webui.post("/api/session/truncate", session_id=self.sid, keep_count=prompts[place])
        self.send(f"Question {next(self.number)}, edited: what else is there to say?")

    def undo(self) -> None:
        """Take the newest prompt back."""
        self.webui.post("/api/session/undo", session_id=self.sid)

    def clear(self) -> None:
        """Begin anew."""
        self.webui.post("/api/session/clear", session_id=self.sid)

    def compress(self) -> None:
        """Have the context summarised."""
        self.webui.post("/api/session/compress", session_id=self.sid)

    def send(self, message: str | None = None, **body: object) -> None:
        """A turn, to its end."""
        said = {"message": message} if message is not None else {}
        self.webui.post("/api/chat/start", session_id=self.sid, **said, **body)
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            time.sleep(0.1)
            session = self.shown()
            if not session.get("active_stream_id") and not session.get("pending_user_message"):
                return
        raise RuntimeError(f"No end of a turn: {message}")


@contextlib.contextmanager
def model() -> Iterator[int]:
    """The port of a model that answers meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def record(options: argparse.Namespace, out: Path, port: int) -> None:
    """Play the scenes side by side, and keep the home after every act."""
    names = options.scene or [*SCENES]
    with tempfile.TemporaryDirectory(prefix="recorder-") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        home, acts = Path(folder, "home"), {name: SCENES[name].split(", ") for name in names}
        with WebUI(options, home, port) as webui:
            players = {name: Player(webui) for name in names}
            for step in range(max(map(len, acts.values()))):
                playing = {name: acts[name][step] for name in names if step < len(acts[name])}
                list(pool.map(lambda name, act: players[name].play(act), playing, playing.values()))
                for source in (found for pattern in COPIED for found in home.glob(pattern)):
                    _copy(source, out / str(step + 1) / "store" / source.name)
                shown = {
                    players[name].sid: {"scene": name, "act": act, "shown": players[name].shown()["messages"]}
                    for name, act in playing.items()
                }
                truth = json.dumps(shown, ensure_ascii=False, indent=1)
                (out / str(step + 1) / "truth.json").write_text(truth, encoding="utf-8")
                print(out / str(step + 1), flush=True)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to)
    else:
        shutil.copy2(source, to)


def main() -> int:
    """Record the scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--webui", type=Path, required=True)
    parser.add_argument("--agent", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--scene", action="append", choices=SCENES)
    options = parser.parse_args()
    out = options.out / options.webui.name
    shutil.rmtree(out, ignore_errors=True)
    with model() as port:
        record(options, out, port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
