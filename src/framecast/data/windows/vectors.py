"""Vector channels: components that flips, turns and reversed time change, found by CF standard name or by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from framecast.data.config import DataConfig
from framecast.data.sources.base import ChannelName
from framecast.errors import InputError, UsageError
from framecast.types import Grid

_SHORT_NAMES = """
siu/siv uice/vice umo/vmo tauuo/tauvo hfx/hfy sistrxdtop/sistrydtop sistrxubot/sistryubot sidmasstranx/sidmasstrany
ug/vg ugosa/vgosa ust/vst vsdx/vsdy utide/vtide utotal/vtotal ubar/vbar sustr/svstr bustr/bvstr
ewss/nsss iews/inss metss/mntss lgws/mgws viwve/viwvn vige/vign vithee/vithen vikee/viken vitoee/vitoen
uflx/vflx ustm/vstm vucsh/vvcsh ugwd/vgwd uogrd/vogrd ivte/ivtn ivtu/ivtv uq/vq uwspd/vwspd umom/vmom
"""
"""Names of components by models, seas and waves, as x/y."""
_COMPONENTS = (
    ("eastward", "northward"),
    ("u", "v"),
    ("ugrd", "vgrd"),
    ("uwnd", "vwnd"),
    ("uwind", "vwind"),
    ("windu", "windv"),
    ("ua", "va"),
    ("uas", "vas"),
    ("uo", "vo"),
    ("usi", "vsi"),
    ("ugos", "vgos"),
    ("uu", "vv"),
    ("vx", "vy"),
    ("velx", "vely"),
    ("taux", "tauy"),
    ("tauu", "tauv"),
    ("dx", "dy"),
    ("hu", "hv"),
    *(tuple(pair.split("/")) for pair in _SHORT_NAMES.split()),
)
"""Words for the components along x and y in names: CF, GRIB, CMIP, NCEP, Copernicus."""
_WEAK = (("x", "y"), ("zonal", "meridional"), ("east", "north"))
"""Words that stand for components only beside one of `_MOTION`."""
_MOTION = {
    "wind",
    "velocity",
    "flow",
    "current",
    "speed",
    "stress",
    "motion",
    "displacement",
    "drift",
    "transport",
    "flux",
}
_TURNING = re.compile(
    r"vorticity|direction|stream_?function|helicity|azimuth|(?<![a-z])[xy]_(?:derivative|gradient|slope)"
    r"|(?:derivative|gradient|slope)_[xy](?![a-z])"
    r"|(?<![a-z])(?:w?dir|dd|wd|mwd|dirpw|dirsw|wvdir|swdir|mdww|mdts|dwi|heading|aspect|vort?|relv|absv|hlcy)(?![a-z])"
)
"""Quantities that a flip or turn changes, but not as components: angles, vorticity, slopes."""
_RADIAL = re.compile(r"radial_velocity|doppler|(?<![a-z])vradd?[hv]?(?![a-z])")
"""Velocities along the beam of a radar, which turn with the map and change their sign when time runs backward."""
_ODD_IN_TIME = re.compile(
    r"(?:up|down|vertical)\w*velocity|lagrangian_tendency|divergence|tendency_of|(?<![a-z])(?:omega|wap|wa|wo|vvel|dzdt)(?![a-z])"
)
"""Scalars that change their sign when time runs backward."""
_VERTICAL_UNITS = {"m/s", "m s-1", "m s**-1", "m s^-1", "pa/s", "pa s-1", "pa s**-1", "pa s^-1"}


class Vectors(NamedTuple):
    """Channels of a window that flips, turns and reversed time change in their values."""

    pairs: tuple[tuple[int, int], ...] = ()
    """Components along x and along y of each vector."""
    odd_in_time: tuple[int, ...] = ()
    """Other channels whose sign changes when time runs backward."""
    unknown: tuple[str, ...] = ()
    """Names of channels that seem to be half a vector, or an angle."""
    x_sign: int = 1
    """1 where x grows with the number of a column, else -1."""
    y_sign: int = -1
    """1 where y grows with the number of a row, -1 where the first row is the northernmost."""

    def check(self, option: str) -> None:
        """Refuse an option that would turn the map and leave components as they are.

        Raises:
            UsageError: a channel that seems to be half a vector, or an angle.
        """
        if self.unknown:
            fix = "name the pairs, as in data.vectors: [[u, v]], [] for none; or leave the channel or the option out"
            expected = "both components of a vector, which change with the map and with time"
            raise UsageError(option, got=f"channel {', '.join(self.unknown)}", expected=expected, fix=fix)

    @property
    def reversed_in_time(self) -> list[int]:
        """Channels whose sign changes when time runs backward."""
        return sorted({*self.odd_in_time, *(channel for pair in self.pairs for channel in pair)})


NO_VECTORS = Vectors()
"""Vectors of frames that have none."""
MOTION = Vectors(pairs=((0, 1),), x_sign=1, y_sign=1)
"""Channels of a field of motion: to the right and down."""


def find_vectors(config: DataConfig, channels: Sequence[ChannelName], grid: Grid) -> Vectors:
    """Find the vectors among the channels of windows.

    Args:
        config: its `vectors`, which replace what names say.
        channels: names of the channels of a window, without calendar channels.
        grid: coordinates, which say where rows and columns lead.

    Raises:
        InputError: `vectors` names a channel that is not there, or one twice.
    """
    odd = [number for number, channel in enumerate(channels) if _is_odd_in_time(channel)]
    if config.vectors is None:
        pairs, unknown = _pair_by_names(channels)
    else:
        pairs, unknown = [pair for keys in config.vectors for pair in _find_pairs(keys, channels)], []
        used = [channel for pair in pairs for channel in pair]
        if len(set(used)) < len(used):
            raise InputError("data.vectors", got="a channel twice", expected="each once")
    x_sign = -1 if len(grid.x) > 1 and grid.x[0] > grid.x[-1] else 1
    return Vectors(tuple(pairs), tuple(odd), tuple(unknown), x_sign, 1 if grid.is_south_up else -1)


def describe_vectors(vectors: Vectors, channels: Sequence[ChannelName], grid: Grid) -> str:
    """Describe the pairs and the direction of rows, one line."""
    pairs = ", ".join(f"{channels[u].name} and {channels[v].name}" for u, v in vectors.pairs)
    rows = "" if len(grid.y) > 1 else "; rows have no coordinates, so the first one is taken for the northernmost"
    return f"vectors: {pairs} turn with the map{rows}"


def _find_pairs(keys: tuple[str | int, str | int], channels: Sequence[ChannelName]) -> list[tuple[int, int]]:
    """Find the channels of a pair of names or numbers; of variables with levels a pair for each level."""
    ends = [
        [n for n, channel in enumerate(channels) if str(key) in (channel.name, channel.name.split("[")[0])]
        or [n for n, channel in enumerate(channels) if str(key) == str(channel.number)]
        for key in keys
    ]
    if not ends[0] or len(ends[0]) != len(ends[1]):
        names = [channel.name for channel in channels]
        expected = f"two of {', '.join(names)}, with as many levels"
        raise InputError("data.vectors", got=f"{keys[0]}, {keys[1]}", expected=expected)
    return list(zip(*ends, strict=True))


def _pair_by_names(channels: Sequence[ChannelName]) -> tuple[list[tuple[int, int]], list[str]]:
    """Pair components by name, else by standard name where each is there once; list what stays alone."""
    names = [channel.name.lower() for channel in channels]
    standards = [channel.standard_name.lower() for channel in channels]
    pairs: list[tuple[int, int]] = []
    for texts in (names, standards):
        used = {channel for pair in pairs for channel in pair}
        left = [number for number in range(len(channels)) if number not in used]
        for number in left:
            partner = _name_partner(texts[number])
            if partner is None or not partner[0]:
                continue
            others = [other for other in left if texts[other] == partner[1]]
            if len(others) == 1 and [texts[other] for other in left].count(texts[number]) == 1:
                pairs.append((number, others[0]))
    used = {channel for pair in pairs for channel in pair}
    alone = [
        channel.name
        for number, channel in enumerate(channels)
        if number not in used
        and not any(_RADIAL.search(text) for text in (names[number], standards[number]))
        and any(_name_partner(text) or _TURNING.search(text) for text in (names[number], standards[number]))
    ]
    return sorted(pairs), alone


def _name_partner(text: str) -> tuple[bool, str] | None:
    """Name the other component: (whether `text` is that along x, the other's name); None where it is no component."""
    words = re.split(r"([^a-z]+)", text)
    kinds = (*_COMPONENTS, *(_WEAK if _MOTION & set(words) else ()))
    found = [(place, pair) for place, word in enumerate(words) for pair in kinds if word in pair]
    if not found:
        return None
    place, first = found[0]
    is_x = words[place] == first[0]
    for place, pair in found:  # several, as in u_eastward
        if words[place] == pair[not is_x]:
            words[place] = pair[is_x]
    return is_x, "".join(words)


def _is_odd_in_time(channel: ChannelName) -> bool:
    if channel.name.lower() == "w" and channel.units.lower() in _VERTICAL_UNITS:
        return True
    texts = channel.name.lower(), channel.standard_name.lower()
    return any(pattern.search(text) for pattern in (_ODD_IN_TIME, _RADIAL) for text in texts)
