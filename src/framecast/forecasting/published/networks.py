"""Published networks whose configuration is inferred from their weights, by code base and name."""

from __future__ import annotations

from framecast.forecasting.published.attention import E3D_LSTM, PREDRNN_V3, SWINLSTM
from framecast.forecasting.published.direct import DIRECT
from framecast.forecasting.published.recurrent import ACTION, CONVGRU, MAU_WEIGHTS, MOTIONRNN, PHYDNET
from framecast.forecasting.published.rules import PublishedNetwork

PUBLISHED: dict[str, dict[str, PublishedNetwork]] = {
    "official": {
        "convgru": CONVGRU,
        "motionrnn": MOTIONRNN,
        "mau": MAU_WEIGHTS,
        "phydnet": PHYDNET,
        "swinlstm_b": SWINLSTM,
        "swinlstm_d": SWINLSTM,
        "predrnn_v3": PREDRNN_V3,
    },
    "openstl": {
        "mau": MAU_WEIGHTS,
        "phydnet": PHYDNET,
        "swinlstm_b": SWINLSTM,
        "swinlstm_d": SWINLSTM,
        "e3d_lstm": E3D_LSTM,
        "simvp": DIRECT,
        "tau": DIRECT,
    },
    "predrnn-pytorch": {"action_predrnn": ACTION},
}
"""Networks of each code base; "official" is the one that a paper's authors, or its operators, published."""
