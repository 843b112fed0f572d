"""prediction.html, the page of a prediction: images with the outlines of their objects or their classes, counts."""
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.model_utils.config import Config
from src.model_utils.errors import encodable
from src.model_utils.files import PREDICTION_HTML, write_atomically
from src.report import facts
from src.report.drawing import class_colours
from src.report.gallery import data_uri, smaller

logger = logging.getLogger("unet")

MOST_PICTURES = 50      # the other images are rows of a table


class Picture(NamedTuple):
    """A picture as the address of an image, and its size in pixels."""
    address: str
    width: int
    height: int

    @classmethod
    def of(cls, pixels: np.ndarray) -> "Picture":
        """Make a picture, not too large, of (H, W, 3) uint8 RGB."""
        pixels = smaller(pixels)
        return cls(data_uri(pixels), pixels.shape[1], pixels.shape[0])


@dataclass(frozen=True)
class PredictedPage:
    """What is reported of a page.

    Attributes:
        name: of the file, and the page if it has several.
        height, width: in pixels.
        shares: share of the pixels of each class.
        found: class, number and median area in pixels of its objects, by class; None if objects were not asked for.
        picture: the page with its classes and objects; None after MOST_PICTURES.
    """
    name: str
    height: int
    width: int
    shares: list[float]
    found: list[tuple[int, int, float]] | None = None
    picture: Picture | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PredictedPage":
        """Return the page that ``asdict`` or JSON has made into values.

        Raises:
            TypeError, ValueError, KeyError, OverflowError: they are not those of a page.
        """
        name, height, width = str(values["name"]), int(values["height"]), int(values["width"])
        found, picture = values["found"], values["picture"]
        return cls(name, height, width, [float(share) for share in values["shares"]],
                   None if found is None else [(int(number), int(count), float(area)) for number, count, area in found],
                   None if picture is None else Picture(*picture))

    @property
    def count(self) -> int:
        """Number of objects."""
        return sum(count for _, count, _ in self.found or ())

    def text(self, names: Sequence[str]) -> str:
        """Say what was found of the classes of these names."""
        if self.found is None:
            return ", ".join(f"{name} {share:.1%}" for name, share in list(zip(names, self.shares))[1:])
        each = [f"{names[number]}: " * (len(names) > 2) + f"{count} objects, median area {area:g} pixels"
                for number, count, area in self.found]
        return "; ".join(each) or "no object"

    def warnings(self, names: Sequence[str]) -> list[str]:
        """Say what may be wrong."""
        lines = []
        if max(self.shares) == 1:
            lines.append(f"all pixels are {names[self.shares.index(1)]}")
        if self.found is not None and not self.count:
            lines.append("no object")
        return lines


@dataclass
class PredictionReport:
    """Collects the pages of a prediction.

    Attributes:
        pages: what was predicted.
        failed: a message for each file that could not be.
    """
    pages: list[PredictedPage] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, page: PredictedPage) -> None:
        """Add a page; those after MOST_PICTURES lose their pictures."""
        self.pages.append(page if len(self.pages) < MOST_PICTURES else replace(page, picture=None))

    def write(self, config: Config, model: str, names: list[str]) -> None:
        """Write prediction.html into the output folder.

        Raises:
            UNetError: it cannot be written.
        """
        environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                                  undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        colours = zip(names[1:], class_colours(config.color, config.num_classes)[1:].tolist())
        page = environment.get_template("prediction.html").render(
            title=f"Prediction of {config.data_path}", date=time.strftime("%Y-%m-%d %H:%M %Z"), model=model,
            pages=self.pages, more=[page for page in self.pages if page.picture is None], failed=self.failed,
            names=names, with_objects=config.objects, colours={name: f"rgb{tuple(colour)}" for name, colour in colours},
            command=facts.command("predict.py", config))
        path = Path(config.output_path) / PREDICTION_HTML
        write_atomically(path, encodable(page).encode())
        logger.info("report: %s", path)
