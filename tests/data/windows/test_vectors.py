"""Components change with the map: a flow that carries a pattern carries it after every flip, turn and reversal too."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from tests.fixtures.tiny import tiny

from framecast.data import Batch, DataConfig, DataSet, open_data
from framecast.data.sources.base import ChannelName
from framecast.data.windows.augment import augment
from framecast.data.windows.vectors import Vectors, find_vectors
from framecast.errors import InputError, UsageError
from framecast.recipe.parsing import parse_config
from framecast.training.start import start
from framecast.types import Grid

SIDE = 16


def flow(path: Path, *, south_up: bool, west_up: bool = False, u: int = 2, v: int = 1, missing: bool = False) -> str:
    """A pattern that a uniform wind of u, v pixels a frame, to the east and to the north, carries around a torus."""
    pattern = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    rows, columns = (v if south_up else -v), (-u if west_up else u)
    tracer = np.stack([np.roll(pattern, (rows * t, columns * t), (0, 1)) for t in range(12)])
    fields = {"t": tracer, "u10": np.full_like(tracer, u), "v10": np.full_like(tracer, v)}
    if missing:
        fields["u10"][:, :3] = np.nan
    y, x = (np.arange(SIDE, dtype=float)[:: 1 if up else -1] for up in (south_up, not west_up))
    time = np.datetime64("2020-01-01", "ns") + np.arange(12) * np.timedelta64(60, "m")
    attributes = {"t": "K", "u10": "m s-1", "v10": "m s-1"}
    data = xarray.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": attributes[name]}) for name, values in fields.items()},
        {"time": time, "lat": y, "lon": x},
    )
    data.to_netcdf(path)
    return str(path)


def opened(path: str, **said: object) -> DataSet:
    fields = {"source": path, "variable": "t,u10,v10", "fractions": (1, 0, 0), **said}
    return open_data(parse_config(DataConfig, fields, "test"), context=2, horizon=2, seed=0)


def is_carried(frames: np.ndarray, dataset: DataSet) -> bool:
    """Whether the pattern moves as the components say, (T, 3, H, W)."""
    (u,), (v,) = (np.unique(frames[:, channel][np.isfinite(frames[:, channel])]) for channel in (1, 2))
    grid = dataset.grid
    rows = int(v) * (1 if grid.is_south_up else -1)
    columns = int(u) * (1 if grid.x[0] < grid.x[-1] else -1)
    moved = np.roll(frames[:-1, 0], (rows, columns), (1, 2))
    return np.array_equal(moved, frames[1:, 0])


@pytest.mark.parametrize("kinds", [("flip",), ("turn",), ("flip", "turn")])
@pytest.mark.parametrize("south_up", [False, True])
@pytest.mark.parametrize("west_up", [False, True])
def test_the_wind_carries_the_pattern_however_the_map_is_turned(
    tmp_path: Path, kinds: tuple[str, ...], south_up: bool, west_up: bool
) -> None:
    dataset = opened(flow(tmp_path / "a.nc", south_up=south_up, west_up=west_up), augment=kinds)
    assert any("u10 and v10 turn with the map" in note for note in dataset.notes)
    window = dataset.window("train", 0, 0)
    assert is_carried(window.frames, dataset)
    seen = set()
    for index in range(40):
        changed = augment(window, kinds, 0, 0, index, dataset.vectors).frames
        assert is_carried(changed, dataset)
        seen.add(tuple(changed[0, 1:, 0, 0].tolist()))
    turned = {(2, 1), (-1, 2), (-2, -1), (1, -2)}
    mirrored = {(2, 1), (-2, 1), (2, -1), (-2, -1)}
    everything = turned | mirrored | {(b, a) for a, b in turned | mirrored}
    assert seen == {("flip",): mirrored, ("turn",): turned, ("flip", "turn"): everything}[kinds]


def test_time_that_runs_backward_turns_the_wind(tmp_path: Path) -> None:
    dataset = opened(flow(tmp_path / "a.nc", south_up=True))
    frames = torch.from_numpy(dataset.window("train", 0, 0).frames[None])
    back = Batch(frames, None, [0]).reversed(dataset.vectors.reversed_in_time)
    assert is_carried(back.frames[0].numpy(), dataset)
    assert back.frames[0, 0, 1:, 0, 0].tolist() == [-2, -1]
    assert torch.equal(frames[0, :, 1:], torch.from_numpy(dataset.window("train", 0, 0).frames[:, 1:]))


def test_masks_go_with_their_components(tmp_path: Path) -> None:
    dataset = opened(flow(tmp_path / "a.nc", south_up=True, missing=True), augment=["turn"])
    window = dataset.window("train", 0, 0)
    for index in range(12):
        changed = augment(window, ("turn",), 0, 0, index, dataset.vectors)
        assert changed.valid is not None
        np.testing.assert_array_equal(changed.valid, np.isfinite(changed.frames))


def found(*names: str, standard: tuple[str, ...] = (), units: str = "", **said: object) -> Vectors:
    standards = standard or ("",) * len(names)
    channels = [ChannelName(name, kind, units, n) for n, (name, kind) in enumerate(zip(names, standards, strict=True))]
    return find_vectors(DataConfig(source="x", **said), channels, Grid())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "names",
    [
        ("u", "v"), ("u10", "v10"), ("10u", "10v"), ("U10M", "V10M"), ("u[850]", "v[850]"), ("uas", "vas"), ("uo", "vo"),
        ("UGRD_10maboveground", "VGRD_10maboveground"), ("x_wind_10m", "y_wind_10m"), ("eastward_wind", "northward_wind"),
        ("10m_u_component_of_wind", "10m_v_component_of_wind"), ("u-component_of_wind", "v-component_of_wind"),
        ("water_u", "water_v"), ("flow_x", "flow_y"), ("zonal_wind", "meridional_wind"), ("vx", "vy"),
        ("siu", "siv"), ("ug", "vg"), ("ugosa", "vgosa"), ("tauuo", "tauvo"), ("hu", "hv"), ("ust", "vst"),
        ("ewss", "nsss"),        ("UFLX_surface", "VFLX_surface"), ("ivte", "ivtn"), ("viwve", "viwvn"),
        ("dx", "dy"), ("uice", "vice"),
        ("u_eastward", "v_northward"), ("sustr", "svstr"), ("avg_iews", "avg_inss"), ("VSDX", "VSDY"), ("umo", "vmo"),
        ("sea_water_x_velocity", "sea_water_y_velocity"), ("downward_eastward_stress", "downward_northward_stress"),
    ],
)  # fmt: skip
def test_pairs_by_name(names: tuple[str, str]) -> None:
    one, other = names
    assert found("t2m", one, other).pairs == ((1, 2),)
    assert found(other, "t2m", one).pairs == ((2, 0),)
    for name in names:
        alone = found("t2m", name)
        assert alone.unknown == (name,)
        with pytest.raises(UsageError, match=r"augment: got channel .*data.vectors: \[\[u, v\]\]"):
            alone.check("augment")
        found("t2m", name, vectors=[]).check("augment")


def test_pairs_by_standard_name() -> None:
    assert found("a", "b", standard=("northward_wind", "eastward_wind")).pairs == ((1, 0),)
    assert found("wind_a", "wind_b", standard=("x_wind", "y_wind")).pairs == ((0, 1),)
    assert found("a", "b", standard=("northward_wind", "air_temperature")).unknown == ("a",)
    levels = found("u[0]", "u[1]", "v[0]", "v[1]", standard=("eastward_wind",) * 2 + ("northward_wind",) * 2)
    assert levels.pairs == ((0, 2), (1, 3))


def test_what_is_no_vector() -> None:
    plain = found("t2m", "tp", "x", "y", "0", "uv_index", "value", "wind_speed", "volume", "us", "red", "zonal_mean")
    assert (plain.pairs, plain.unknown) == ((), ())
    assert found("wind_direction", "vorticity", "mwd").unknown == ("wind_direction", "vorticity", "mwd")
    assert found("a", standard=("wind_from_direction",)).unknown == ("a",)
    angles = ("FF", "DD", "dd_10m", "wd", "mwd1", "dirpw", "heading", "azimuth", "relv", "streamfunction", "gradient_x")
    assert found(*angles).unknown == angles[1:]
    plain = found("ws", "added", "wdvi", "visible", "cloud", "direct_radiation", "hurs", "sic", "qv", "dd_sum", "diry")
    assert plain.unknown == ("dd_sum",)
    assert found("w", "omega", "t", units="Pa s-1").odd_in_time == (0, 1)
    assert found("a", "w", standard=("upward_air_velocity", "")).odd_in_time == (0,)


def test_velocity_along_the_beam_turns_with_its_radar_and_changes_sign_in_time() -> None:
    for name in ("VRAD", "VRADH", "VRADV", "VRADDH", "doppler_velocity", "radial_velocity"):
        beam = found("DBZH", name)
        assert (beam.pairs, beam.unknown, beam.odd_in_time) == ((), (), (1,))
    known = found("V", standard=("radial_velocity_of_scatterers_away_from_instrument",))
    assert (known.unknown, known.odd_in_time) == ((), (0,))
    assert found("V", units="m/s").unknown == ("V",)  # of a radar, or half a wind
    assert found("wa", "wo").odd_in_time == (0, 1)


def test_pairs_that_the_user_names() -> None:
    assert found("a", "b", "c", vectors=[["c", "a"]]).pairs == ((2, 0),)
    assert found("a", "b", "c", vectors=[[2, 0]]).pairs == ((2, 0),)
    assert found("p[0]", "p[1]", "q[0]", "q[1]", vectors=[["p", "q"]]).pairs == ((0, 2), (1, 3))
    for wrong in ([["a", "z"]], [["a", "b"], ["b", "c"]]):
        with pytest.raises(InputError, match=r"data\.vectors"):
            found("a", "b", "c", vectors=wrong)


def test_half_a_wind_is_refused(tmp_path: Path) -> None:
    path = flow(tmp_path / "a.nc", south_up=True)
    with pytest.raises(UsageError, match="augment: got channel u10, expected both components"):
        opened(path, variable="t,u10", augment=["flip"])
    opened(path, variable="t,u10")
    data = DataConfig(source=path, variable="t,u10")
    said = {"steps": 1, "batch_size": 2, "time_reversal": "augment"}
    with pytest.raises(UsageError, match=r"train\.time_reversal: got channel u10"):
        start(
            tiny(data=data, context=2, horizon=2, train=said, normalize={"kind": "identity"}),
            tmp_path / "run",
            quiet=True,
        )


def test_a_covariate_turns_with_a_target(tmp_path: Path) -> None:
    path, said = flow(tmp_path / "a.nc", south_up=True), {"targets": ["v10"], "covariates": ["u10"], "range": (0, 9)}
    dataset = opened(path, augment=["turn"], **said)
    assert dataset.vectors.pairs == ((2, 0),)


def test_recipes_from_before_keep_their_digest() -> None:
    recipe = tiny()
    assert "vectors" not in recipe.identity()["data"]
    other = recipe.model_copy(update={"data": DataConfig(source="a.nc", vectors=[["u", "v"]])})  # type: ignore[arg-type]
    assert other.identity()["data"]["vectors"] == [["u", "v"]]
