"""Addresses of the newest forecast: its announcement, its file, events, curves, and what the map page draws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from framecast.maps.outlines import list_outlines
from framecast.serving.limits import Refusal
from framecast.serving.newest.colours import probability_palette, value_palette
from framecast.serving.newest.forecast import NewestForecast
from framecast.serving.newest.pictures import draw_picture
from framecast.serving.predict_routes import describe_errors
from framecast.serving.service import Service

HEARTBEAT = 15.0
"""Seconds after which a silent stream of events says that it is there."""
FOREVER = "public, max-age=31536000, immutable"
"""How long pictures are kept: their address is another when their content is."""


ERRORS = describe_errors(401, 404, 422, 503)


def make_router(service: Service) -> APIRouter:
    """Make the addresses of the newest forecast of a service."""
    router = APIRouter()
    _add_announcement(router, service)
    _add_map(router, service)
    _add_events(router, service)
    return router


def _add_announcement(router: APIRouter, service: Service) -> None:
    """Add what was issued: the announcement, and the file."""

    @router.get("/latest", summary="The newest forecast", responses=ERRORS)
    async def latest() -> dict[str, Any]:
        newest = service.demand_newest()
        return {**newest.latest, "age_seconds": round(service.find_age() or 0), "stale": service.is_stale()}

    @router.get(
        "/latest.nc",
        summary="The newest forecast, NetCDF",
        response_class=FileResponse,
        responses={200: {"content": {"application/x-netcdf": {}}}, **ERRORS},
    )
    async def latest_nc() -> FileResponse:
        newest = service.demand_newest()
        name = next((name for name in newest.latest["files"] if name.endswith(".nc")), None)
        path = None if name is None else newest.folder / Path(name).name
        if path is None or not path.is_file():
            raise Refusal(404, "latest.nc: got a loop that writes none, expected --write nc")
        return FileResponse(path, media_type="application/x-netcdf", filename=path.name)


def _add_map(router: APIRouter, service: Service) -> None:
    """Add what the page draws."""

    @router.get("/map.json", summary="What the page draws", responses=ERRORS)
    async def map_description() -> dict[str, Any]:
        return describe_map(service, service.demand_newest())

    @router.get("/coastlines.json", summary="Coasts and borders, GeoJSON", responses=ERRORS)
    async def coastlines() -> dict[str, Any]:
        return await asyncio.to_thread(make_coastlines, service.demand_newest())

    @router.get("/point", summary="Values of a place over time", responses=ERRORS)
    async def point(
        latitude: Annotated[float, Query(ge=-90, le=90, description="Degrees; of a map without a place, rows.")],
        longitude: Annotated[float, Query(ge=-540, le=540, description="Degrees; likewise columns.")],
    ) -> dict[str, Any]:
        newest = service.demand_newest()
        found = _find_pixel(newest, latitude, longitude)
        if found is None:
            raise Refusal(404, "place: got one outside the grid, expected one inside")
        curve = await asyncio.to_thread(newest.read_curve, *found)
        return {"row": found[0], "column": found[1], "units": newest.latest["units"], "curve": curve}

    @router.get(
        "/maps/{frame}.png",
        summary="A frame as a picture",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **ERRORS},
    )
    async def picture(
        frame: str, dark: bool = False, threshold: Annotated[float | None, Query(allow_inf_nan=False)] = None
    ) -> Response:
        newest = service.demand_newest()
        found = newest.find(frame)
        if found is None:
            raise Refusal(404, "frame: got one that is not on the time line, expected a name of /map.json")
        content = await asyncio.to_thread(
            draw_picture,
            newest,
            found,
            newest.projection.whole,
            style="dark" if dark else "light",
            threshold=threshold,
        )
        return Response(content, media_type="image/png", headers={"Cache-Control": FOREVER})


def _add_events(router: APIRouter, service: Service) -> None:
    """Add server-sent events."""
    listeners: set[object] = set()

    @router.get(
        "/events",
        summary="An event for each new forecast",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **describe_errors(401, 404, 503)},
    )
    async def events() -> StreamingResponse:
        if service.reader is None:
            service.demand_newest()
        if len(listeners) >= service.limits.listeners:
            raise Refusal(503, f"events: got {len(listeners)} listeners, no more are served", 30)
        return StreamingResponse(
            listen(service, listeners), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )


def _find_pixel(newest: NewestForecast, latitude: float, longitude: float) -> tuple[int, int] | None:
    if newest.projection.whole is not None:
        return newest.projection.find_pixel(latitude, longitude)
    height, width = newest.projection.shape
    row, column = height - 1 - int(latitude), int(longitude)
    return (row, column) if 0 <= row < height and 0 <= column < width else None


def describe_map(service: Service, newest: NewestForecast) -> dict[str, Any]:
    """Describe the time line, the place and the colours of the newest forecast; plain values."""
    whole, spec, (height, width) = newest.projection.whole, newest.spec, newest.projection.shape
    palettes = {name: value_palette(spec, dark=name == "dark").describe() for name in ("light", "dark")}
    chances = {name: probability_palette(dark=name == "dark").describe() for name in ("light", "dark")}
    return {
        "name": newest.name,
        "reference_time": newest.latest["reference_time"],
        "age_seconds": round(service.find_age() or 0),
        "stale": service.is_stale(),
        "predictor": newest.latest["predictor"],
        "fallback": newest.latest["fallback"],
        "filled": newest.latest["filled"],
        "units": spec.units,
        "members": newest.members,
        "step_minutes": newest.latest["step_minutes"],
        "geographic": whole is not None,
        "bounds": [[0, 0], [height, width]] if whole is None else [list(corner) for corner in whole.corners],
        "frames": [
            {"name": frame.name, "kind": frame.kind, "time": frame.time, "url": f"maps/{frame.name}.png"}
            for frame in newest.frames
        ],
        "legend": palettes,
        "probability_legend": chances,
        "thresholds": [step["from"] for step in palettes["light"]] if newest.members > 1 else [],
        "skill": newest.skill,
    }


def make_coastlines(newest: NewestForecast) -> dict[str, Any]:
    """Make coasts and borders near the grid as GeoJSON."""
    features = [
        {
            "type": "Feature",
            "properties": {"border": is_border},
            "geometry": {"type": "LineString", "coordinates": line.round(4).tolist()},
        }
        for line, is_border in list_outlines(newest.grid)
    ]
    return {"type": "FeatureCollection", "features": features}


async def listen(service: Service, listeners: set[object]) -> AsyncIterator[str]:
    """Iterate over events: the newest forecast now, and each new one; comments while there is none."""
    token = object()
    listeners.add(token)
    try:
        said, silent = None, 0.0
        while not service.is_ending:
            newest = service.newest
            if newest is not None and newest.name != said:
                said, silent = newest.name, 0.0
                content = {"name": newest.name, "reference_time": newest.latest["reference_time"]}
                yield f"event: forecast\nid: {newest.name}\ndata: {json.dumps(content)}\n\n"
            await service.wait_for_news(1.0)
            silent += 1.0
            if silent >= HEARTBEAT:
                silent = 0.0
                yield ": still here\n\n"
    finally:
        listeners.discard(token)
