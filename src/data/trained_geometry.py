"""The sizes of the images that a network was trained with. They are stored with it, and prediction follows them."""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.data.image_reader import MAX_SIDE
from src.data.layouts import LAYOUTS
from src.data.normalization import Normalization
from src.data.sample_transforms import Geometry, ResizingTransform
from src.model_utils.claims import claimed_int
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.inputs import WRONG_CONTENT
from src.model_utils.options import NATIVE

# At this many times the largest area that was trained on, or this fraction of the smallest, resizing to one size shows
# the network objects of another scale than it knows.
FAR = 4
MOST_AREA = 10**12      # pixels


@dataclass(frozen=True)
class TrainedGeometry:
    """How training made the network's input of images, as far as sizes go.

    Attributes:
        dataset: name of the layout, whose transform resizes the images.
        sizes: what they are resized to; None is native, which keeps their own sizes.
        areas: smallest and largest area of the images in pixels; None if it is not known.
    """
    dataset: str
    sizes: Geometry | None
    areas: tuple[int, int] | None = None

    @classmethod
    def of_options(cls, config: Config, areas: tuple[int, int] | None = None) -> "TrainedGeometry":
        """Make it from the options dataset, image_size and crop."""
        if config.image_size == NATIVE:
            return cls(config.dataset, None, areas)
        return cls(config.dataset, Geometry.from_options(config.image_size, config.crop,
                                                         LAYOUTS[config.dataset].width_first), areas)

    @classmethod
    def of_dict(cls, stored: Mapping[str, Any]) -> "TrainedGeometry":
        """Make it from what ``as_dict`` returned.

        Raises:
            ValueError: it is something else.
        """
        try:
            dataset, areas = stored["dataset"], stored["areas"]
            sizes = None
            if stored["input"] != NATIVE:
                sizes = Geometry(_whole(stored["input"], MAX_SIDE), _whole(stored["content"], MAX_SIDE))
                if any(inner > outer for inner, outer in zip(sizes.content, sizes.input)):
                    raise ValueError("its content is larger than its input")
            if dataset in LAYOUTS:
                return cls(dataset, sizes, _whole(areas, MOST_AREA) if areas else None)
        except (UNetError, *WRONG_CONTENT) as error:
            raise ValueError(f"no geometry: {error}") from None
        raise ValueError(f"no layout {dataset}")

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        sizes = {"input": NATIVE} if self.sizes is None else {"input": list(self.sizes.input),
                                                              "content": list(self.sizes.content)}
        return {"dataset": self.dataset, **sizes, "areas": list(self.areas) if self.areas else None}

    def options(self, dataset: str) -> dict[str, Any]:
        """Return image_size and crop as the options of a data set of the layout ``dataset`` say them."""
        if self.sizes is None:
            return {"image_size": NATIVE, "crop": None}
        order = -1 if LAYOUTS[dataset].width_first else 1
        size, crop = list(self.sizes.input)[::order], list(self.sizes.content)[::order]
        return {"image_size": size, "crop": None if crop == size else crop}

    def transform(self, normalization: Normalization) -> ResizingTransform | None:
        """Return the transform of images without augmentation; None if they keep their own sizes."""
        layout = LAYOUTS[self.dataset]
        return None if self.sizes is None else layout.transform(self.sizes, normalization, "default", 2)

    def knows(self, size: tuple[int, int]) -> bool:
        """Return whether an image of (height, width) is about as large as those that were trained on."""
        if self.areas is None:
            return True
        return self.areas[0] <= FAR * size[0] * size[1] and size[0] * size[1] <= FAR * self.areas[1]


def _whole(pair: Any, most: int) -> tuple[int, int]:
    first, second = (claimed_int(number, 1, most, "a number of pixels") for number in pair)
    return first, second
