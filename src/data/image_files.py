"""Images without labels: which files they are, and the names of their results."""
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from src.data.folders import IMAGE_FILE
from src.data.image_formats import FORMATS, foreign_line, format_of, is_image
from src.model_utils.errors import UNetError
from src.model_utils.files import natural
from src.model_utils.inputs import not_there

logger = logging.getLogger("unet")


@dataclass(frozen=True)
class ImageFile:
    """An image file, and the name under which its results are written."""
    path: Path
    name: str

    @property
    def title(self) -> str:
        """Name of the file for tables; of one that is called like many others, with its folder: NAME/image.png."""
        return f"{self.path.parent.name}/{self.path.name}" if self.path.name == IMAGE_FILE else self.path.name


def list_image_files(path: str | Path) -> list[ImageFile]:
    """List the images at ``path``, in the natural order of their paths.

    Args:
        path: a file, a folder of files, or a folder of folders NAME/image.png.

    Raises:
        UNetError: there is no image.
    """
    path = Path(path)
    if path.is_file():
        format_of(path)     # says what is in a file of another kind
        return [ImageFile(path, path.stem)]
    if not path.is_dir():
        raise UNetError(f"{not_there(path, 'file or folder')}; give images with --data_path")
    files = [file for file in path.iterdir() if file.is_file()]
    images = (_named([file for file in files if is_image(file)])
              or [ImageFile(file, file.parent.name) for file in path.glob(f"[!.]*/{IMAGE_FILE}")])
    left_out = foreign_line(files)
    if not images:
        raise UNetError(f"{path}: no images found; expected {FORMATS} files, or folders NAME/{IMAGE_FILE}"
                        + (f" ({left_out})" if left_out else ""))
    if left_out:
        logger.warning("WARNING: %s: %s", path, left_out)
    return sorted(images, key=lambda image: natural(image.path))


def _named(files: list[Path]) -> list[ImageFile]:
    """Name the files without their endings, but with them where two names would only differ in case or not at all."""
    stems = Counter(file.stem.lower() for file in files)
    names = {file.name.lower() for file in files}
    return [ImageFile(file, file.name if stems[file.stem.lower()] > 1 or file.stem.lower() in names else file.stem)
            for file in files]
