"""Requests that nobody should send: broken bytes, lies about length, and sound bodies with something foul put in."""

import json
import random
import socket
from contextlib import suppress
from copy import deepcopy

NASTY = [
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        "\x00",
        "\ud800",
        "\udfff\ud800",
        "a\ufffdb",
        "\u202e",
        "💥" * 50,
    ),
    *("<|im_start|>system\n", "<|im_end|>", "<think>", "</s>", "../../etc/passwd", "file:///etc/passwd", "%s%n{}{0}"),
    *("x" * 3000, [], {}, [[]], [{}], [None], [-1], [10**30], [1.5], ["", ""], {"": ""}, {"a": {"b": {"c": []}}}),
    *(
        "last+14",
        "all+99999999999999999999",
        "last+-1",
        "last+8~" + "9" * 30,
        "tiny",
        "tiny:",
        "tiny:gated",
        ":",
        "none",
    ),
]
KEYS = [
    "",
    "model",
    "messages",
    "prompt",
    "clampdown",
    "__class__",
    "n",
    "stop",
    "tools",
    "\x00",
    "$ref",
    "sae",
    "file",
]


def said(content):
    return [{"role": "user", "content": content}]


def sound(gate):
    """Requests as they should be: path and body."""
    short, hi = {"max_tokens": 3, "temperature": 0}, said("Hi")
    clamp = {"kind": "clamp", "sae": "sae.safetensors", "layer": 1, "latents": {"3": 6.0}}
    push = {"kind": "direction", "layer": 2, "strength": 3.0, "seed": 1}
    inline = {"edits": [clamp, push], "positions": {"prompt": "last", "generated": 5, "fade": 2}}
    gated = {"edits": [push], "gate": {"sha256": gate.sha256, "threshold": gate.threshold}}
    chat, text, latents = "/v1/chat/completions", "/v1/completions", "/v1/clampdown/activations"
    return [
        (chat, {"model": "tiny", "messages": hi, **short, "seed": 1, "n": 2, "top_p": 0.9, "user": "me"}),
        (chat, {"model": "tiny:clamp", "messages": hi, **short, "logprobs": True, "top_logprobs": 2}),
        (chat, {"model": "tiny", "messages": said([{"type": "text", "text": "Hi"}]), "stream": True, **short,
                "stream_options": {"include_usage": True}, "stop": ["a", "b"]}),
        (chat, {"model": "tiny:gated", "messages": hi, **short, "clampdown": {"threshold": 1.0, "factor": 2.0}}),
        (chat, {"model": "tiny:gated", "messages": hi, **short, "clampdown": {"decide": "open", "window": "last+3"}}),
        (chat, {"model": "tiny:clamp", "messages": hi, **short, "clampdown": {"recipe": inline}}),
        (chat, {"model": "tiny", "messages": hi, **short, "clampdown": {"recipe": gated, "window": {"fade": 1}}}),
        (text, {"model": "tiny", "prompt": ["Hi", "Ho"], **short, "logprobs": 1, "echo": True, "best_of": 1}),
        (text, {"model": "tiny:clamp", "prompt": [[5, 6, 7], [8, 9]], "max_tokens": 0, "logprobs": 1, "echo": True}),
        (latents, {"model": "tiny:gated", "text": "Hi there", "clampdown": {"threshold": 0.0}}),
    ]  # fmt: skip


def fouled(draw, body):
    """A body with a few of its parts replaced, renamed, left out, doubled or added."""
    body = json.loads(json.dumps(body))
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        places = list(_places(body))
        holder, key = draw.choice(places)
        match draw.randrange(6):
            case 0 if isinstance(holder, dict):
                holder[draw.choice(KEYS)] = holder.pop(key)
            case 1 if isinstance(holder, dict):
                del holder[key]
            case 2:
                holder[key] = [deepcopy(holder[key])] * draw.choice([0, 1, 2, 20, 2000])
            case 3 if isinstance(holder, dict):
                holder[draw.choice(KEYS)] = deepcopy(draw.choice(NASTY))
            case _:
                holder[key] = deepcopy(draw.choice(NASTY))
    return body


def _places(node):
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def encoded(draw, body):
    """As JSON, at times not quite."""
    data = json.dumps(body, ensure_ascii=draw.random() < 0.9).encode("utf-8", "surrogatepass")
    match draw.randrange(12):
        case 0:
            data = data[: draw.randrange(len(data) + 1)]
        case 1:
            changed = bytearray(data)
            for _ in range(draw.randrange(1, 6)):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            data = bytes(changed)
        case 2:
            deep = draw.choice([50, 900, 5000, 100_000])
            data = data[:-1] + b', "metadata": ' + b"[" * deep + b"]" * deep + b"}"
        case 3:
            data = draw.choice(
                [b"", b"null", b"[]", b"1", b'"', b"\xff\xfe", b"{}" * 9, b"NaN", b"\xef\xbb\xbf" + data]
            )
    return data


def broken(draw, path, data):
    """A whole request as bytes, with something wrong before its body, or nothing."""
    length, more = str(len(data)), []
    line = f"POST {path} HTTP/1.1"
    match draw.randrange(14):
        case 0:
            return draw.randbytes(draw.randrange(1, 400)) + b"\r\n\r\n"
        case 1:
            length = draw.choice(["-1", "1e3", "99999999999999999999", "0", " ", "0x10", "١", str(len(data) + 5)])
        case 2:
            more = ["Transfer-Encoding: chunked"]
        case 3:
            more = [f"X-{'h' * 10}: {'v' * draw.choice([10, 70_000])}"] * draw.choice([1, 50])
        case 4:
            line = draw.choice(
                [f"POST {path}", f"{path} POST HTTP/1.1", f"POST {path} HTTP/9.9", "\x00", "PRI * HTTP/2.0"]
            )
        case 5:
            more = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="]
        case 6:
            line = f"{draw.choice(['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'BREW'])} {path} HTTP/1.1"
        case 7:
            strange = draw.choice(
                ["/", "/%00", "/..%2f..%2fetc/passwd", "/v1/models/" + "x" * 5000, "/v1/models/%ff", "*", "//"]
            )
            line = f"POST {strange} HTTP/1.1"
        case 8:
            more = [
                draw.choice(
                    ["Content-Encoding: gzip", "Expect: 100-continue", "Content-Length: 3", "Bad Header", ": x"]
                )
            ]
    kind = draw.choice(
        ["application/json"] * 8 + ["text/plain", "multipart/form-data", "", "application/json; charset=x"]
    )
    head = [line, "Host: 127.0.0.1", "Connection: close", f"Content-Type: {kind}", f"Content-Length: {length}", *more]
    if draw.random() < 0.02:
        head[1] = draw.choice(["Host: evil.example", "Host:", "X: y"])
    return "\r\n".join(head).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + data


def answered(port, data, patience=60.0):
    """All that the server says to some bytes, until it closes. Raises TimeoutError if it never does."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as there:
        with suppress(ConnectionError):  # it has heard enough
            there.sendall(data)
        told = bytearray()
        with suppress(ConnectionError):
            while part := there.recv(1 << 16):
                told += part
        return bytes(told)


def requests(number, seed, gate):
    """So many hostile requests, the same for the same seed."""
    draw, kinds = random.Random(seed), sound(gate)
    for _ in range(number):
        path, body = draw.choice(kinds)
        data = encoded(draw, fouled(draw, body) if draw.random() < 0.9 else body)
        yield broken(draw, path, data)
