"""A small model hub on this machine: it answers as the real one does, so that the real client can be tested offline."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "c" * 40


class Hub:
    """Serves folders as repositories; what is not among them does not exist, and org/gated needs a licence."""

    def __init__(self, repositories: dict[str, Path]) -> None:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def log_message(self, *_args: object) -> None:
                pass

        self.repositories = repositories
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = request.path.partition("?")[0].strip("/")
        owner, name, *rest = path.removeprefix("api/models/").split("/")
        repository, revision = f"{owner}/{name}", rest[1] if rest else "main"
        if repository == "org/gated":
            return self.send(request, 403, {"X-Error-Code": "GatedRepo"})
        if repository not in self.repositories:
            return self.send(request, 401, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", "v1", COMMIT):
            return self.send(request, 404, {"X-Error-Code": "RevisionNotFound"})
        if path.startswith("api/") and rest[:1] != ["tree"]:
            told = f'{{"id": "{repository}", "sha": "{COMMIT}"}}'.encode()
            return self.send(request, 200, {"Content-Type": "application/json"}, told)
        file = self.repositories[repository].joinpath(*rest[2:])
        if not file.is_file():
            return self.send(request, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        head = {"X-Repo-Commit": COMMIT, "ETag": f'"{file.name}-1"', "Content-Type": "application/octet-stream"}
        self.send(request, 200, head, file.read_bytes(), body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, head: dict, content: bytes = b"", body: bool = True) -> None:
        request.send_response(status)
        for name, value in {**head, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(content)
