"""Trained models that come with the package: their names, folders and cards.

Each is a folder here: a model as `save_forecaster` writes it, the recipe of its training, and CARD.md, which says what it
is good for, what it is not, its scores, its data and their licence.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from framecast.trained.hub import fetch_model, is_on_hub

CARD = "CARD.md"
EXAMPLE = "example.npz"
"""Frames that the model never saw, where there are some."""
_FOLDER = Path(__file__).parent


class TrainedModel(NamedTuple):
    """A trained model in the package."""

    name: str
    folder: Path
    card: str
    """Markdown; its first paragraph says what the model forecasts."""

    @property
    def summary(self) -> str:
        """First paragraph of the card, in one line."""
        return " ".join(self.card.split("\n\n")[1].split())


def list_trained() -> list[TrainedModel]:
    """List the trained models of the package, by name."""
    return [
        TrainedModel(card.parent.name, card.parent, card.read_text(encoding="utf-8"))
        for card in sorted(_FOLDER.glob(f"*/{CARD}"))
    ]


def is_trained(name: str) -> bool:
    """Whether a name is that of a trained model, and not of a file or folder of the user's."""
    return not Path(name).exists() and name.isidentifier() and (_FOLDER / name / CARD).is_file()


def find_name(run: str) -> str | None:
    """Find the name of the trained model whose folder it is; None for any other folder."""
    path = Path(run)
    return path.name if path.parent == _FOLDER and (path / CARD).is_file() else None


def find_model(name: str) -> str:
    """Find the folder of a trained model, which is fetched where its name is that of the hub, as in hf://OWNER/NAME.

    Any other text, the path of a run or the name of a baseline, stays as it is.

    Raises:
        UsageError: no such model on the hub.
    """
    if is_on_hub(name):
        return str(fetch_model(name))
    return str(_FOLDER / name) if is_trained(name) else name
