"""A real HTTP server on this machine that speaks as an OpenAI-compatible endpoint does, from a script."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest


class Request(NamedTuple):
    path: str
    headers: dict
    body: dict


class Served:
    """Where the server listens, and every request it got."""

    def __init__(self, script):
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._script = script if callable(script) else iter(script)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer._answer(self, Request(self.path, dict(self.headers), body))

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler, request):
        with self._lock:
            self.requests.append(request)
            step = self._script(request.body) if callable(self._script) else next(self._script)
        if step.get("hang_up"):
            handler.close_connection = True
            return
        time.sleep(step.get("wait", 0))
        status = step.get("status", 200)
        message = {"role": "assistant", "content": step.get("content"), "refusal": step.get("refusal")}
        body = {"choices": [{"message": message, "finish_reason": step.get("finish", "stop")}]}
        if status != 200:
            body = {"error": {"message": step.get("error", "no")}}
        data = step["raw"].encode() if "raw" in step else json.dumps(body).encode()
        try:
            handler.send_response(status)
            for header, key in (("Retry-After", "retry_after"), ("Location", "location")):
                if key in step:
                    handler.send_header(header, step[key])
            handler.send_header("Content-Length", str(len(data) + (9 if step.get("short") else 0)))
            handler.end_headers()
            handler.wfile.write(data)
            handler.close_connection = bool(step.get("short"))
        except OSError:
            pass  # the client has given up waiting, as some tests want


@pytest.fixture
def serve():
    """Start a server that gives the script's replies in turn, or those of a function of the request's body.

    A reply is a dict: `content`, `refusal`, `finish`; or `status` with `error`, `retry_after`, `location`; or `raw`; or
    `hang_up`, or `short` for a connection that breaks within the body; and `wait`, seconds before it.
    """
    running: list[Served] = []

    def start(script):
        running.append(Served(script))
        return running[-1]

    yield start
    for server in running:
        server.close()
