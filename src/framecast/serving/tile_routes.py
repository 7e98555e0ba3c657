"""Tiles and their list in the shape of RainViewer's interface, version 2, so that its clients work unchanged.

    /public/weather-maps.json                                frames: their times, and paths below `host`
    {host}{path}/{size}/{z}/{x}/{y}/{colour}/{options}.png   tile; x and y may be a latitude and a longitude

Colours: 0 codes the values in grey, as dBZ + 32; 8 is for dark maps, all others are the package's own. Options are
`{smooth}_{snow}`: 1 draws between pixels; snow is accepted and tells nothing, as no forecast here knows it.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from framecast.live.slots import parse_slot
from framecast.serving.limits import Refusal
from framecast.serving.newest.forecast import MapFrame, NewestForecast
from framecast.serving.newest.pictures import Style, draw_blank, draw_picture
from framecast.serving.newest.projection import MapExtent, centred_extent, tile_extent
from framecast.serving.newest_routes import FOREVER
from framecast.serving.predict_routes import describe_errors
from framecast.serving.service import Service

DEEPEST = 20
"""Zoom of the smallest tiles."""
STYLES: dict[int, Style] = {0: "codes", 8: "dark"}
_OPTIONS = re.compile(r"([01])_([01])")
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,12})?")


def make_router(service: Service) -> APIRouter:
    """Make the addresses of the tiles of a service."""
    router = APIRouter()
    shared = {"Access-Control-Allow-Origin": "*"}

    @router.get(
        "/public/weather-maps.json",
        summary="Frames and where their tiles are",
        responses=describe_errors(401, 404, 503),
    )
    async def weather_maps(request: Request, response: Response) -> dict[str, Any]:
        response.headers.update({**shared, "Cache-Control": "no-cache"})
        return list_weather_maps(service.demand_newest(), str(request.base_url).rstrip("/"))

    @router.get(
        "/v2/radar/{frame}/{size}/{z}/{x}/{y}/{colour}/{options}.png",
        summary="A tile",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **describe_errors(401, 404, 422, 503)},
    )
    async def tile(
        frame: Annotated[str, Path(max_length=80)],
        size: int,
        z: Annotated[int, Path(ge=0, le=DEEPEST)],
        x: Annotated[str, Path(description="Column of the tile; or latitude, with a point in it.")],
        y: Annotated[str, Path(description="Row of the tile; or longitude, with a point in it.")],
        colour: Annotated[int, Path(ge=0, le=255)],
        options: Annotated[str, Path(description="{smooth}_{snow}, as in 1_0")],
    ) -> Response:
        newest = service.demand_newest()
        if newest.projection.whole is None:
            raise Refusal(404, "tile: got frames without a place on the Earth, expected coordinates; see /map.json")
        found, match = _find_frame(newest, frame), _OPTIONS.fullmatch(options)
        if found is None:
            raise Refusal(404, "tile: got a frame that is not on the time line, expected one of weather-maps.json")
        if size not in (256, 512) or match is None:
            raise Refusal(422, "tile: got another size or options, expected 256 or 512, and as in 1_0")
        extent, smooth = _find_extent(z, x, y, size), match[1] == "1"
        if _is_apart(extent, newest.projection.whole):
            content = draw_blank(size)
        else:
            style = STYLES.get(colour, "light")
            content = await asyncio.to_thread(draw_picture, newest, found, extent, style=style, smooth=smooth)
        return Response(content, media_type="image/png", headers={**shared, "Cache-Control": FOREVER})

    return router


def list_weather_maps(newest: NewestForecast, host: str) -> dict[str, Any]:
    """List frames as clients of weather maps expect it: seconds since 1970, and paths below the host."""

    def describe(frame: MapFrame) -> dict[str, Any]:
        return {"time": _seconds(frame.time), "path": f"/v2/radar/{frame.name}"}

    frames = newest.frames
    return {
        "version": "2.0",
        "generated": _seconds(newest.latest["created"]),
        "host": host,
        "radar": {
            "past": [describe(frame) for frame in frames if frame.kind == "past"],
            "nowcast": [describe(frame) for frame in frames if frame.kind == "forecast"],
        },
        "satellite": {"infrared": []},
    }


def _seconds(time: str) -> int:
    return int(parse_slot(time).astype("datetime64[s]").astype(int))


def _find_frame(newest: NewestForecast, name: str) -> MapFrame | None:
    """Find a frame by its name, or by its time in seconds, as older clients ask."""
    if name.isdecimal() and len(name) < 15:
        return next((frame for frame in newest.frames if _seconds(frame.time) == int(name)), None)
    return newest.find(name)


def _find_extent(zoom: int, x: str, y: str, size: int) -> MapExtent:
    """Find what a tile shows.

    Raises:
        Refusal: 422, no such tile.
    """
    if not (_NUMBER.fullmatch(x) and _NUMBER.fullmatch(y)):
        raise Refusal(422, "tile: got no numbers, expected x and y, or latitude and longitude")
    if "." in x or "." in y:
        latitude, longitude = float(x), float(y)
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise Refusal(422, "tile: got a place beyond 90 or 180 degrees, expected one on the Earth")
        return centred_extent(zoom, latitude, longitude, size)
    if not (0 <= int(x) < 2**zoom and 0 <= int(y) < 2**zoom):
        raise Refusal(422, f"tile: got x {x}, y {y}, expected 0 to {2**zoom - 1} at this zoom")
    return tile_extent(zoom, int(x), int(y), size)


def _is_apart(one: MapExtent, other: MapExtent) -> bool:
    """Whether two extents share nothing, whole turns of the Earth aside."""
    turns = (-2 * 20037508.342789244, 0.0, 2 * 20037508.342789244)
    meets = any(one.west + turn <= other.east and one.east + turn >= other.west for turn in turns)
    return not meets or one.south > other.north or one.north < other.south
