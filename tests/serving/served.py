"""A server that really listens, for tests; what it needs is imported once it is known to be there."""

import asyncio
import threading
import time
from contextlib import contextmanager

QUESTIONS = ["Hi", "What is the capital of France?", "Sing a song of the sea, with rhymes!", "2+2="]


def serving(shelf, **limits):
    """A service of its own on a shelf's model."""
    from clampdown.engine.local import LocalEngine
    from clampdown.serving.limits import Limits
    from clampdown.serving.service import Service

    made = Limits(**limits)
    return Service(shelf.model, shelf, LocalEngine(shelf.model, most=made.rows, keep=True), made)


@contextmanager
def listening(service, **how):
    """The address of a server, and the server, while it runs."""
    import uvicorn

    from clampdown.serving.run import configured

    server = uvicorn.Server(configured(service, **how))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        assert until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.should_exit = True
        thread.join()


def until(condition):
    """Wait for what must come, though not how long it takes."""
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def chat(model, said="Hi", **more):
    """The body of a chat's request, greedy and short."""
    plain = {"model": model, "messages": [{"role": "user", "content": said}], "temperature": 0, "max_tokens": 8}
    return plain | more
