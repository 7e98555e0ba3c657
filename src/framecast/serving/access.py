"""Access: the token, the size of bodies and the time they take, errors as one line of JSON; whatever the address."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from framecast.serving.limits import Refusal, RequestMemory, ServiceLimits

HttpScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COOKIE = "framecast-token"
"""Cookie of a browser whose user gave the token at /session."""
ALWAYS_OPEN = ("/health", "/session", "/page/")
"""Addresses that need no token: they tell nothing of data or model."""
MAP = ("/", "/map.json", "/point", "/coastlines.json", "/latest", "/latest.nc", "/events", "/maps/", "/public/", "/v2/")
"""Addresses of the map, which may be open to all while /predict is not."""


SECURE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'",
}
"""Headers of every answer: no other host is asked, whatever a file says."""


class Notebook:
    """What counts requests by route and status, and adds the headers that all answers have.

    Args:
        app: behind it.
        note: called with route and status of each answer.
    """

    def __init__(self, app: Any, note: Callable[[str, int], None]) -> None:
        self._app, self._note = app, note

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Pass on."""

        async def send_noted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._note(getattr(scope.get("route"), "path", "other"), message["status"])
                added = [(name.lower().encode(), text.encode()) for name, text in SECURE.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self._app(scope, receive, send_noted if scope["type"] == "http" else send)


class TokenGate:
    """What lets through who knows the token: in the header `Authorization: Bearer`, or in a browser's cookie.

    Args:
        app: behind it.
        token: None for no gate.
        is_map_open: whether the map and its data need none.
    """

    def __init__(self, app: Any, token: str | None, *, is_map_open: bool) -> None:
        self._app, self._token = app, token
        self._open = (*ALWAYS_OPEN, *(MAP if is_map_open else ()))

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer 401 where the token is wrong, else pass on."""
        if scope["type"] != "http" or self._token is None or self._is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if hmac.compare_digest(_find_token(scope).encode(), self._token.encode()):
            await self._app(scope, receive, send)
            return
        accepts = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        if scope["path"] == "/" and "text/html" in accepts:
            headers = [(b"location", b"/page/token.html"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await send_error(
            send, 401, "token: got none or another, expected that of the service", {"WWW-Authenticate": "Bearer"}
        )

    def _is_open(self, path: str) -> bool:
        return any(
            path == name or (name.endswith("/") and name != "/" and path.startswith(name)) for name in self._open
        )


def _find_token(scope: HttpScope) -> str:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    kind, _, token = headers.get(b"authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get(b"cookie", ""))
    except CookieError:
        return ""
    return cookie[COOKIE].value if COOKIE in cookie else ""


async def send_error(send: Send, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    """Send an error as JSON."""
    body = json.dumps({"error": text}).encode()
    said = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in said.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def receive_body(request: Any, limits: ServiceLimits, memory: RequestMemory) -> bytes:
    """Receive a body within its limits of size and time.

    Args:
        request: of Starlette.
        limits: of the service.
        memory: of the request, which takes what arrives.

    Raises:
        Refusal: 413 too large, 408 too slow, 503 no memory for it now.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:15]) > limits.body:
        raise _refuse_size(limits)
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body:
                    raise _refuse_size(limits)
                memory.take(2 * len(part))
                parts.append(part)
    except TimeoutError as error:
        raise Refusal(408, f"body: got {size} bytes in {limits.read_seconds:g} s, expected all of it") from error
    return b"".join(parts)


def _refuse_size(limits: ServiceLimits) -> Refusal:
    return Refusal(413, f"body: got more, expected at most {limits.body} bytes; --max-body allows another size")
