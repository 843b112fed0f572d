"""The folders and files below a folder, by their names alone."""
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from src.data.image_formats import IMAGE_ENDINGS
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import natural

DEEPEST = 5             # levels of folders that are looked at
MOST_ENTRIES = 500_000
SHOWN_FOLDERS, SHOWN_FILES, SHOWN_LEVELS = 6, 3, 3


@dataclass(frozen=True)
class Tree:
    """What is in a folder. Paths are relative to it, with slashes; "" is the folder itself.

    Attributes:
        root: the folder.
        folders: folder -> names of the folders in it, in their natural order.
        files: folder -> names of the files in it, in their natural order. Names that begin with a dot are left out.
    """
    root: Path
    folders: dict[str, list[str]]
    files: dict[str, list[str]]

    def images(self, folder: str) -> list[str]:
        """Return the names of the images in a folder."""
        return [name for name in self.files.get(folder, ()) if PurePosixPath(name).suffix.lower() in IMAGE_ENDINGS]

    def children(self, folder: str) -> list[str]:
        """Return the paths of the folders in a folder."""
        return [join(folder, name) for name in self.folders.get(folder, ())]

    def path(self, *parts: str) -> Path:
        """Return the path of a folder or a file."""
        return self.root.joinpath(*filter(None, parts))

    def lines(self) -> list[str]:
        """Return the first entries, with the numbers of all, as lines of text."""
        return [f"{self.root}/", *self._lines("", 1)] if self.folders or self.files else [f"{self.root}/ is empty"]

    def _lines(self, folder: str, level: int) -> Iterator[str]:
        indent = "  " * level
        files, folders = self.files.get(folder, []), self.folders.get(folder, [])
        if files:
            kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in files).most_common(3)
            yield (f"{indent}{first_few(files, SHOWN_FILES)}"
                   f" ({len(files)} files: {', '.join(f'{count} {kind}' for kind, count in kinds)})")
        for name in folders[:SHOWN_FOLDERS] if level <= SHOWN_LEVELS else ():
            yield f"{indent}{name}/"
            yield from self._lines(join(folder, name), level + 1)
        if len(folders) > SHOWN_FOLDERS and level <= SHOWN_LEVELS:
            yield f"{indent}and {len(folders) - SHOWN_FOLDERS} more folders"


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder of a Tree."""
    return f"{folder}/{name}" if folder else name


def read_tree(root: str | Path) -> Tree:
    """Read the names below a folder.

    Raises:
        UNetError: there is no such folder, or it cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise UNetError(f"no such data folder: {root}; give the folder of the images and masks with --data_path")
    tree, entries = Tree(root, {}, {}), 0
    below = [("", 0)]
    for folder, level in below:
        try:
            with os.scandir(tree.path(folder)) as found:
                names = [(entry.name, entry.is_dir()) for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            raise UNetError(f"{tree.path(folder)}: cannot be read: {error.strerror or error}") from None
        names.sort(key=lambda item: natural(item[0]))
        tree.folders[folder] = [name for name, is_folder in names if is_folder]
        tree.files[folder] = [name for name, is_folder in names if not is_folder]
        entries += len(names)
        if level < DEEPEST and entries < MOST_ENTRIES:
            below += [(join(folder, name), level + 1) for name in tree.folders[folder]]
    return tree
