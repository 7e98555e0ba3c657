"""A prognostic model by the protocol's text of earth2studio 0.19, and by its rules for coordinates and hooks."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytest
import torch
from torch import Tensor

import framecast
from framecast.adapters.earth2studio import Prognostic
from framecast.errors import InputError, UsageError
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

CoordSystem = OrderedDict[str, np.ndarray]


@runtime_checkable
class PrognosticModel(Protocol):
    """The methods of the protocol, with their arguments."""

    def __call__(self, x: Tensor, coords: CoordSystem) -> tuple[Tensor, CoordSystem]: ...
    def create_iterator(self, x: Tensor, coords: CoordSystem) -> Iterator[tuple[Tensor, CoordSystem]]: ...
    def input_coords(self) -> CoordSystem: ...
    def output_coords(self, input_coords: CoordSystem) -> CoordSystem: ...
    def to(self, device: Any) -> Any: ...


SPEC = FrameSpec(channels=2, height=12, width=16, low=0, high=10, step_minutes=30, names=("u10m", "v10m"))
DOMAIN = {"lat": np.linspace(60, 58, 12), "lon": np.linspace(20, 24, 16)}


@pytest.fixture
def forecaster() -> framecast.Forecaster:
    torch.manual_seed(0)
    return framecast.Forecaster(
        ConvLSTM(hidden=(4,), kernel_size=3), SPEC, Range(low=0, high=10), patch=2, context=3
    ).eval()


@pytest.fixture
def model(forecaster: framecast.Forecaster) -> Prognostic:
    return Prognostic(forecaster, domain=DOMAIN)


def make_input(model: Prognostic, *, members: int = 2, times: int = 3) -> tuple[Tensor, CoordSystem]:
    """Frames of several members and start times, as a workflow of ensembles gives them."""
    outer = {"ensemble": np.arange(members), "time": np.datetime64("2024-05-01") + np.arange(times)}
    coords = OrderedDict({**outer, **{name: axis for name, axis in model.input_coords().items() if name != "batch"}})
    shape = [len(axis) for axis in coords.values()]
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 10, coords


def test_it_is_a_prognostic_model(model: Prognostic) -> None:
    assert isinstance(model, PrognosticModel)
    assert model.to("cpu") is model
    for name in ("create_iterator", "input_coords", "output_coords"):
        expected = inspect.signature(getattr(PrognosticModel, name)).parameters
        assert list(inspect.signature(getattr(Prognostic, name)).parameters) == list(expected)
    assert list(inspect.signature(Prognostic.forward).parameters) == ["self", "x", "coords"]


def test_coordinates_are_those_of_a_free_batch(model: Prognostic) -> None:
    given = model.input_coords()
    assert list(given) == ["batch", "lead_time", "variable", "lat", "lon"]
    assert given["batch"].shape == (0,)
    np.testing.assert_array_equal(given["lead_time"], np.array([-60, -30, 0], "timedelta64[m]"))
    np.testing.assert_array_equal(given["variable"], ["u10m", "v10m"])
    following = model.output_coords(given)  # as earth2studio's workflows do to lay out their arrays
    np.testing.assert_array_equal(following["lead_time"], np.array([30], "timedelta64[m]"))
    assert following["batch"].shape == (0,)
    given["lead_time"] = given["lead_time"] + np.timedelta64(90, "m")
    np.testing.assert_array_equal(model.output_coords(given)["lead_time"], np.array([120], "timedelta64[m]"))
    np.testing.assert_array_equal(model.input_coords()["lead_time"][-1:], np.array([0], "timedelta64[m]"))


def test_one_step_is_the_first_of_the_forecast(model: Prognostic, forecaster: framecast.Forecaster) -> None:
    x, coords = make_input(model)
    before = OrderedDict(coords)
    frame, following = model(x, coords)
    own = forecaster.predict(x.flatten(0, 1), 1).reshape(2, 3, 1, 2, 12, 16)
    torch.testing.assert_close(frame, own, rtol=0, atol=0)
    assert list(following) == list(coords)
    assert [len(axis) for axis in following.values()] == list(frame.shape)
    assert all(coords[name] is before[name] for name in coords)


def test_an_iterator_gives_the_newest_frame_and_then_the_rollout(model: Prognostic, forecaster: Any) -> None:
    x, coords = make_input(model)
    steps = list(islice(model.create_iterator(x, coords), 6))
    torch.testing.assert_close(steps[0][0], x[:, :, -1:])
    own = forecaster.predict(x.flatten(0, 1), 5).reshape(2, 3, 5, 2, 12, 16)
    torch.testing.assert_close(torch.cat([frame for frame, _ in steps[1:]], 2), own, rtol=1e-6, atol=1e-5)
    leads = np.concatenate([following["lead_time"] for _, following in steps])
    np.testing.assert_array_equal(leads, np.arange(0, 180, 30).astype("timedelta64[m]"))
    assert all(list(following) == list(coords) for _, following in steps)


def test_hooks_change_what_is_given_out_and_fed_back(model: Prognostic) -> None:
    x, coords = make_input(model, members=1, times=1)
    plain = [frame for frame, _ in islice(model.create_iterator(x, coords), 4)]
    model.rear_hook = lambda frame, at: (frame + 1, at)
    pushed = [frame for frame, _ in islice(model.create_iterator(x, coords), 3)]
    torch.testing.assert_close(pushed[0], plain[0])
    torch.testing.assert_close(pushed[1], plain[1] + 1)
    window = torch.cat([x[:, :, 1:], pushed[1]], 2)
    again = OrderedDict(coords, lead_time=coords["lead_time"] + np.timedelta64(30, "m"))
    torch.testing.assert_close(pushed[2], model(window, again)[0] + 1)
    del model.rear_hook
    model.front_hook = lambda frames, at: (frames * 0.5, at)
    torch.testing.assert_close(list(islice(model.create_iterator(x, coords), 2))[1][0], model(x * 0.5, coords)[0])


def test_missing_pixels_stay_missing(model: Prognostic) -> None:
    x, coords = make_input(model)
    x[..., 3, 4] = torch.nan
    x[0, 0, 1, :, 5, 6] = torch.nan
    for frame, _ in islice(model.create_iterator(x, coords), 1, 3):
        assert frame[..., 3, 4].isnan().all()
        assert frame.isnan().sum() == 2 * 3 * 2


def test_a_trained_model_forecasts_in_any_place() -> None:
    model = Prognostic("rain", ["refc"], {"y": np.arange(48.0), "x": np.arange(40.0)}, history=4)
    coords = model.input_coords()
    coords["batch"] = np.arange(1)
    frame, following = model(torch.full((1, 4, 1, 48, 40), 20.0), coords)
    assert frame.shape == (1, 1, 1, 48, 40)
    assert following["lead_time"] == np.timedelta64(5, "m")
    assert str(model) == "framecast convlstm"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("lead_time", np.array([-60, -40, 0], "timedelta64[m]"), "lead_time"),
        ("variable", np.array(["v10m", "u10m"]), "variable"),
        ("lat", np.linspace(50, 48, 12), "lat"),
        ("lon", np.linspace(20, 24, 15), "lon"),
    ],
)
def test_other_coordinates_are_refused(model: Prognostic, name: str, values: np.ndarray, expected: str) -> None:
    x, coords = make_input(model)
    with pytest.raises(ValueError, match=expected):
        model.output_coords(OrderedDict(coords, **{name: values}))
    with pytest.raises(ValueError, match=expected):
        next(model.create_iterator(x, OrderedDict(coords, **{name: values})))


def test_other_axes_and_shapes_are_refused(model: Prognostic) -> None:
    x, coords = make_input(model)
    turned = OrderedDict((name, coords[name]) for name in ("time", "ensemble", "variable", "lead_time", "lat", "lon"))
    with pytest.raises(InputError, match="axes"):
        model.output_coords(turned)
    with pytest.raises(InputError, match="shape"):
        model(x[:1], coords)


def test_models_that_it_cannot_serve_are_refused(forecaster: framecast.Forecaster) -> None:
    with pytest.raises(UsageError, match="persistence"):
        Prognostic("persistence")
    with pytest.raises(UsageError, match="persistence"):
        Prognostic(framecast.Persistence(SPEC))
    with pytest.raises(UsageError, match="2, one for each channel"):
        Prognostic(forecaster, ["u10m"])
    with pytest.raises(UsageError, match="two axes"):
        Prognostic(forecaster, domain={"cell": np.arange(5)})
    network = ConvLSTM(hidden=(4,), kernel_size=3)
    for change, expected in (
        ({"step_minutes": None}, "time step"),
        ({"covariates": (Channel(name="hour", low=0, high=24),)}, "hour"),
    ):
        other = framecast.Forecaster(network, SPEC.model_copy(update=change), Range(low=0, high=10), patch=2)
        with pytest.raises(UsageError, match=expected):
            Prognostic(other)
    free = framecast.Forecaster(network, SPEC, Range(low=0, high=10), patch=2)
    with pytest.raises(UsageError, match="history"):
        Prognostic(free)
    assert len(Prognostic(free, history=7).input_coords()["lead_time"]) == 7
