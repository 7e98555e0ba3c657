"""Networks have as many parameters as the published classes, less those that the latter never use."""

import pytest
import torch

from framecast.models import (
    E3DLSTM,
    MAU,
    TAU,
    ActionPredRNN,
    ConvGRU,
    ModelConfig,
    MotionRNN,
    PhyDNet,
    PredRNNV3,
    SimVP,
    SwinLSTMB,
    SwinLSTMD,
)

N64, N128 = (64,) * 4, (128,) * 4
MNIST, TAXI, KTH, WEATHER, BAIR = (1, 64, 64), (2, 32, 32), (1, 128, 128), (1, 32, 64), (3, 64, 64)
PATCHES, TAXI_PATCHES, HUMAN_PATCHES = (16, 16, 16), (8, 16, 16), (48, 32, 32)
SMALL = {"hidden": 32, "translator_hidden": 256, "layers": 2, "frames": 4}
LARGE = {"translator_hidden": 256, "layers": 2, "blocks": 6}
E3D = {"variant": "openstl", "layer_norm": False}
COUNTS: list[tuple[ModelConfig, tuple[int, int, int], int, int]] = [
    *(
        (ConvGRU(levels=levels), MNIST, count, 0)
        for levels, count in enumerate((15_681, 250_929, 4_012_017, 64_177_905, 1_026_786_033), 2)
    ),
    (SwinLSTMB(), MNIST, 2_778_417, 197_376),
    (SwinLSTMD(), MNIST, 20_191_969, 1_346_560),
    (MAU(layer_norm="chw"), MNIST, 4_483_588, 8_259),
    (MAU(layer_norm="chw", shrink=2), TAXI, 4_409_868, 8_266),
    (MAU(layer_norm="chw", shrink=2), KTH, 20_138_372, 8_259),
    (PhyDNet(), MNIST, 3_091_732, 0),
    (PhyDNet(shrink=2), TAXI, 3_092_309, 0),
    (MotionRNN(hidden=N64), HUMAN_PATCHES, 7_214_657, 0),
    (MotionRNN(hidden=N64), PATCHES, 6_852_161, 0),
    (MotionRNN(hidden=N128), PATCHES, 26_911_553, 0),
    (PredRNNV3(layer_norm="chw"), MNIST, 6_232_289, 0),
    (PredRNNV3(layer_norm="chw"), WEATHER, 6_183_649, 0),
    (PredRNNV3(layer_norm="chw"), TAXI, 6_163_682, 0),
    (PredRNNV3(layer_norm="chw", shrink=8, hidden=(256,) * 4), KTH, 24_680_865, 0),
    (E3DLSTM(hidden=N128, **E3D), PATCHES, 51_347_456, 0),
    (E3DLSTM(hidden=N128, **E3D), TAXI_PATCHES, 50_987_008, 0),
    (E3DLSTM(hidden=N64, **E3D), PATCHES, 13_148_160, 0),
    (SimVP(translator="incepu"), MNIST, 57_946_113, 0),
    (SimVP(), MNIST, 46_769_665, 0),
    (TAU(), MNIST, 44_656_001, 0),
    (SimVP(**SMALL), TAXI, 9_961_058, 0),
    (TAU(**SMALL), TAXI, 9_545_442, 0),
    (SimVP(**LARGE), KTH, 15_632_961, 0),
    (TAU(**LARGE), KTH, 14_955_201, 0),
]


@pytest.mark.parametrize(("config", "shape", "published", "unused"), COUNTS)
def test_parameter_counts(config: ModelConfig, shape: tuple[int, int, int], published: int, unused: int) -> None:
    with torch.device("meta"):
        network = config.build(*shape)
    assert sum(p.numel() for p in network.parameters()) == published - unused


@pytest.mark.parametrize(
    ("hidden", "decoupling", "published"),
    [(N64, False, 8_391_488), (N128, False, 33_539_712), (N128, True, 33_556_096)],
)
def test_parameter_counts_with_actions(hidden: tuple[int, ...], decoupling: bool, published: int) -> None:
    with torch.device("meta"):
        network = ActionPredRNN(hidden=hidden, decoupling=decoupling).build(*BAIR, 4)
    assert sum(p.numel() for p in network.parameters()) == published
