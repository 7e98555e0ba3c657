"""Addresses of the model: /predict, /model, /reload."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from framecast.forecast import Forecast
from framecast.serving.access import receive_body
from framecast.serving.answers import MEDIA_TYPES, AnswerFormat, write_answer
from framecast.serving.bodies import ArrayBody, read_body
from framecast.serving.limits import Refusal, RequestMemory
from framecast.serving.service import Service
from framecast.serving.work import ArrayWork, FileWork, Work

PIECE = 256 << 10
"""Bytes of an answer that are sent at once."""
DECODERS = 2
"""Bodies that are read, and answers that are written, at the same time."""
_BINARY = {"schema": {"type": "string", "format": "binary"}}
BODY_TYPES = (
    "application/octet-stream",
    "application/x-npy",
    "application/x-npz",
    "application/x-netcdf",
    "application/zip",
)
ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
        }
    }
}


def describe_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe answers that are errors, for OpenAPI."""
    words = {
        401: "No token, or another.",
        404: "Nothing is there.",
        408: "The body came too slowly.",
        409: "The model cannot be loaded; the old one stays.",
        413: "More than the limits allow.",
        422: "What cannot be used, and why.",
        503: "Busy, or not ready; Retry-After says when to come again.",
    }
    return {status: {"description": words[status], **ERROR} for status in statuses}


class LimitedAnswer(Response):
    """Answer that is sent in pieces, each of which the client must take in time; its memory is given back at the end.

    Args:
        content: the bytes.
        memory: of the request.
        seconds: for each piece.
        more: of a Response.
    """

    def __init__(self, content: bytes, memory: RequestMemory, seconds: float, **more: Any) -> None:
        super().__init__(content, **more)
        self._memory, self._limit = memory, seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send."""
        body = memoryview(self.body)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for at in range(0, max(len(body), 1), PIECE):
                piece, is_more = bytes(body[at : at + PIECE]), at + PIECE < len(body)
                async with asyncio.timeout(self._limit):
                    await send({"type": "http.response.body", "body": piece, "more_body": is_more})
        except TimeoutError:
            pass  # the connection of an answer that is not whole is closed
        finally:
            self._memory.release()


def make_router(service: Service) -> APIRouter:
    """Make the addresses of the model of a service."""
    router, decoders = APIRouter(), asyncio.Semaphore(DECODERS)
    contents = dict.fromkeys(sorted(set(MEDIA_TYPES.values())), _BINARY)

    @router.post(
        "/predict",
        summary="Forecast from frames",
        response_class=Response,
        responses={
            200: {"description": "The forecast.", "content": contents},
            **describe_errors(401, 408, 413, 422, 503),
        },
        openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(BODY_TYPES, _BINARY)}},
    )
    async def predict(
        request: Request,
        horizon: Annotated[
            str | None, Query(description="Frames, or a time as in 90min; that of the training.", max_length=20)
        ] = None,
        answer: Annotated[AnswerFormat | None, Query(description="Format; that of the body.")] = None,
    ) -> Response:
        start, memory = time.monotonic(), RequestMemory(service.memory)
        try:
            with tempfile.TemporaryDirectory(prefix="framecast-serve-") as name:
                content, used = await _answer(service, decoders, request, horizon, answer, Path(name), memory)
            service.metrics.note_prediction(start)
            headers = {"Content-Disposition": f'attachment; filename="forecast.{_suffix(used)}"'}
            return LimitedAnswer(
                content, memory, service.limits.write_seconds, media_type=MEDIA_TYPES[used], headers=headers
            )
        except BaseException:
            memory.release()
            raise

    @router.get("/model", summary="What answers", responses=describe_errors(401))
    async def model() -> dict[str, Any]:
        limits = service.limits
        said = {"body_bytes": limits.body, "horizon": limits.horizon, "frames": limits.frames, "queue": limits.queue}
        return {**service.compute.served.describe(), "limits": said}

    @router.post("/reload", summary="Load the model again", responses=describe_errors(401, 409))
    async def reload() -> dict[str, Any]:
        return await asyncio.to_thread(service.reload)

    return router


async def _answer(
    service: Service,
    decoders: asyncio.Semaphore,
    request: Request,
    horizon: str | None,
    answer: AnswerFormat | None,
    folder: Path,
    memory: RequestMemory,
) -> tuple[bytes, AnswerFormat]:
    """Receive, compute and write an answer; return it and its format."""
    content = await receive_body(request, service.limits, memory)
    async with decoders:
        body = await asyncio.to_thread(read_body, content, service.limits, memory, folder)
    del content
    work: Work
    if isinstance(body, ArrayBody):
        work = ArrayWork(body, horizon, service.limits, memory)
    else:
        work = FileWork(body, horizon, service.limits, memory)
    forecast = await _wait(request, service, work)
    used = answer or body.kind
    async with decoders:
        return await asyncio.to_thread(write_answer, forecast, used, folder), used


def _suffix(name: AnswerFormat) -> str:
    return f"{name}.zip" if MEDIA_TYPES[name] == "application/zip" else name


async def _wait(request: Request, service: Service, work: Work) -> Forecast:
    """Wait for a work; what a client asked for that has gone is not computed."""
    computed = service.compute.submit(work)
    answer = asyncio.wrap_future(computed)
    gone = asyncio.create_task(_wait_for_end(request))
    try:
        waited: set[asyncio.Future[Any]] = {answer, gone}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        computed.cancel()
        raise Refusal(408, "connection: got its end before the forecast")
    finally:
        gone.cancel()


async def _wait_for_end(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
