"""The playground and the API's description as pages: files of ours that load nothing from elsewhere."""

from pathlib import Path

from fastapi import FastAPI, Response

from clampdown.serving.refusals import Refusal

FOLDER = Path(__file__).parent / "playground"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ALLOWED = "script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; {_ALLOWED}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Answers are a model's, and hostile: no script or style runs but that of these files, and nothing goes elsewhere."""


def add_pages(app: FastAPI) -> None:
    """`/` is the playground, `/docs` the description, and `/playground/NAME` what they are made of."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}

    def page(name: str) -> Response:
        if name not in files:
            raise Refusal(404, "there is no such page", code="not_found")
        return Response(files[name], media_type=f"{_TYPES[Path(name).suffix]}; charset=utf-8", headers=HEADERS)

    @app.get("/", include_in_schema=False)
    async def playground() -> Response:
        return page("index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return page("docs.html")

    @app.get("/playground/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return page(name)
