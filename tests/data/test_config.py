import pytest
from pydantic import ValidationError

from framecast.data import DataConfig, MovingMNISTConfig


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dims": "hw"}, "expected t, h, w"),
        ({"dims": "tthw"}, "each once"),
        ({"dims": "thwx"}, "expected t, h, w"),
        ({"range": (1, 1)}, "the lower first"),
        ({"range": (0, float("inf"))}, "finite"),
        ({"range": (float("nan"), 1)}, "finite"),
        ({"fractions": (0.5, 0.5, 0.5)}, "add up to 1"),
        ({"fractions": (0, 0.5, 0.5)}, "train > 0"),
        ({"fractions": (1.2, -0.1, -0.1)}, "add up to 1"),
        ({"stride": 0}, "greater than or equal to 1"),
        ({"step_minutes": 0}, "greater than 0"),
        ({"source": ""}, "at least 1 character"),
        ({"split_by": "random"}, "'auto', 'file'"),
        ({"augment": ("mirror",)}, "'flip' or 'turn'"),
        ({"units": "dBZ"}, "with a file only"),
        ({"source": "moving-mnist", "split_by": "time"}, "got split_by with source moving-mnist"),
        ({"source": "moving-mnist", "fractions": (0.5, 0.5, 0)}, "got fractions with source moving-mnist"),
        ({"source": "moving-mnist", "stride": 2}, "got stride with source moving-mnist"),
        ({"stried": 2}, "not permitted"),
        ({"moving_mnist": {"size": 27}}, "at least 28"),
        ({"moving_mnist": {"size": (64, 20)}}, "at least 28"),
        ({"moving_mnist": {"digits": 4}}, "less than or equal to 3"),
        ({"moving_mnist": {"speed": "slow"}}, "'fixed' or 'uniform'"),
    ],
)
def test_wrong_values_are_named(fields: dict, words: str):
    base = {} if {"units", "moving_mnist"} & set(fields) else {"source": "frames.npy"}
    with pytest.raises(ValidationError) as caught:
        DataConfig.model_validate({**base, **fields})
    assert words in str(caught.value)


def test_survives_json():
    config = DataConfig(source="a.npz", dims="nthw", range=(0, 70), augment=("flip",), fractions=(0.5, 0.5, 0))
    assert DataConfig.model_validate(config.model_dump(mode="json")) == config


def test_canvas_is_height_and_width():
    assert MovingMNISTConfig(size=32).canvas == (32, 32)
    assert MovingMNISTConfig(size=(40, 64)).canvas == (40, 64)
