"""Application: all addresses of a service, behind the token and the limits."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from framecast.errors import FramecastError
from framecast.serving import newest_routes, predict_routes, tile_routes
from framecast.serving.access import COOKIE, Notebook, TokenGate, receive_body
from framecast.serving.limits import MemoryBudget, Refusal, RequestMemory, ServiceLimits
from framecast.serving.predict_routes import describe_errors
from framecast.serving.service import Service

PAGE = resources.files("framecast.serving") / "page"


def make_app(service: Service, token: str | None = None, *, is_map_open: bool = False) -> Any:
    """Make the ASGI application of a service.

    Args:
        service: that answers.
        token: that clients need; None for none.
        is_map_open: whether the map needs none.
    """
    app = FastAPI(
        title="framecast",
        version=version("framecast"),
        summary="Forecasts of gridded sequences",
        docs_url=None,  # its pages ask other hosts for their scripts
        redoc_url=None,
        lifespan=_make_lifespan(service),
    )
    _add_errors(app)
    _add_basics(app, service, token)
    for routes in (predict_routes, newest_routes, tile_routes):
        app.include_router(routes.make_router(service))
    app.mount("/page", StaticFiles(packages=[("framecast.serving", "page")]), name="page")

    return Notebook(TokenGate(app, token, is_map_open=is_map_open), service.metrics.note_request)


def _make_lifespan(service: Service) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(asyncio.to_thread(service.warm_up))
        looking = asyncio.create_task(service.look())
        yield
        looking.cancel()
        await warming
        await asyncio.to_thread(service.compute.close)

    return lifespan


def _add_errors(app: FastAPI) -> None:
    """Let every error be one line of JSON."""

    @app.exception_handler(Refusal)
    async def refuse(request: Request, error: Refusal) -> JSONResponse:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        headers |= {"Connection": "close"} if error.status in (408, 413) else {}
        return JSONResponse({"error": error.text}, error.status, headers)

    @app.exception_handler(FramecastError)
    async def explain(request: Request, error: FramecastError) -> JSONResponse:
        return JSONResponse({"error": _hide_paths(str(error))}, 409 if request.url.path == "/reload" else 422)

    @app.exception_handler(MemoryError)
    async def give_up(request: Request, error: MemoryError) -> JSONResponse:
        return JSONResponse({"error": "memory: got a request that does not fit into it"}, 413)

    @app.exception_handler(ClientDisconnect)
    async def forget(request: Request, error: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "connection: got its end before that of the body"}, 408)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"error": "; ".join(faults)[:1000]}, 422)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


def _hide_paths(text: str) -> str:
    """Name what a client sent as such, not by the temporary path that it has here."""
    words = text.split("framecast-serve-")
    if len(words) == 1:
        return text
    before = words[0].rpartition(" ")[0]
    rest = words[1].partition("/")[2]
    return f"{before} {rest}".strip()


def _add_basics(app: FastAPI, service: Service, token: str | None) -> None:
    """Add health, metrics, the page and its sign-in."""
    statuses: dict[int | str, dict[str, Any]] = {503: {"description": "Not warm, stale, or without a forecast."}}

    @app.get("/health", summary="Whether all is well", responses=statuses)
    async def health(response: Response) -> dict[str, Any]:
        response.status_code, content = service.describe_health()
        return content

    @app.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **describe_errors(401)},
    )
    async def metrics() -> Response:
        return Response(service.metrics.write(), media_type=service.metrics.media_type)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((PAGE / "index.html").read_bytes(), media_type="text/html; charset=utf-8")

    @app.post("/session", include_in_schema=False)
    async def session(request: Request) -> Response:
        memory = RequestMemory(MemoryBudget(1 << 16))
        body = await receive_body(request, ServiceLimits(body=1 << 12), memory)
        given = parse_qs(body.decode("latin-1")).get("token", [""])[0]
        if token is None or not hmac.compare_digest(given.encode(), token.encode()):
            return RedirectResponse("/page/token.html#wrong", 303)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
        return response
