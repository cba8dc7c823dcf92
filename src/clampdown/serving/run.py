"""A server at an address: it listens once all is ready, and finishes what it has begun when it is told to end."""

import ipaddress
import json
import logging
import socket
import sys
from collections.abc import Callable, Collection
from typing import Any

import uvicorn

from clampdown.errors import ClampdownError
from clampdown.serving.app import build_app
from clampdown.serving.connection import hasty
from clampdown.serving.service import Service

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def serve(
    service: Service,
    *,
    host: str,
    port: int,
    key: str = "",
    patience: int = 30,
    listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until a signal ends it: no more is taken then, and what runs has `patience` seconds.

    listening: told the address, once connections are taken.

    Raises:
        ClampdownError: the address is not this machine's own and there is no key, or can't be listened at.
    """
    check_address(host, key)
    listener = _listener(host, port)
    hosts = (*LOOPBACK, f"[{host}]" if ":" in host else host) if is_loopback(host) else ()
    config = configured(service, key=key, hosts=hosts, patience=patience)
    with listener:
        listening(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])


def configured(
    service: Service, *, key: str = "", hosts: Collection[str] = (), patience: int = 30, port: int = 0
) -> uvicorn.Config:
    """How uvicorn serves it: with our log in place of its own, which would hold what addresses hold."""
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Config(
        build_app(service, key=key, hosts=hosts),
        port=port,
        http=hasty(service.limits.reading),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=patience,
    )


def check_address(host: str, key: str) -> None:
    """Raises ClampdownError where others could reach this server without a key."""
    if not is_loopback(host) and not key:
        raise ClampdownError(
            f"--host {host} lets other machines in, which needs a key: set one by --api-key, or in CLAMPDOWN_API_KEY"
        )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def log_to_stderr() -> None:
    """Write the server's log as JSON, one object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    for name in ("clampdown.serving", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
    logging.getLogger("clampdown.serving").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


class _Json(logging.Formatter):
    """Of a record what we have put there, and no traceback: its message may hold what a client said."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        if record.exc_info and record.exc_info[0]:
            facts = {**facts, "error": record.exc_info[0].__name__}
        told = record.getMessage() if record.name == "clampdown.serving" else str(record.msg).partition("\n")[0]
        return json.dumps({"time": self.formatTime(record), "level": record.levelname.lower(), "event": told, **facts})


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ClampdownError(f"can't listen at {host}:{port}: {getattr(error, 'strerror', None) or error}") from error
    return listener
