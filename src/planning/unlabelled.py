"""The images of a data set that have no masks, for which a network is trained.

``python -m src.planning.unlabelled --data_path=DIR --output_path=FOLDER`` links them in a folder, for predict.py. With
the options of train.py it takes the layout that these pick.
"""
import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from src.data.preparation.isbi_slices import TEST_STACK
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.files import make_folder
from src.model_utils.script import guarded
from src.planning.layouts import Layout, find_layouts
from src.planning.masks import is_mask
from src.planning.pairing import MASK, TEST, role
from src.planning.picking import pick
from src.planning.tree import Tree, join, read_tree


def unlabelled(tree: Tree, layout: Layout) -> list[str]:
    """Return the paths of the images without masks: those that miss theirs, and those in folders called test, new, ...

    Args:
        tree: the names of all files.
        layout: how the data set is read.
    """
    stack = [join(layout.root, TEST_STACK)] if TEST_STACK in tree.files[layout.root] else []
    in_folders = [join(folder, name) for folder in tree.files if _is_for_tests(folder) for name in tree.images(folder)]
    return list(dict.fromkeys([*layout.without_mask, *stack, *in_folders]))


def _is_for_tests(folder: str) -> bool:
    roles = [role(part) for part in PurePosixPath(folder).parts]
    return TEST in roles and MASK not in roles


def link(tree: Tree, paths: Sequence[str], folder: Path) -> None:
    """Link images in a folder, under names that hold their paths: a_b.png for a/b.png, _a_b.png for another a_b.png.

    Links that are there are removed first: they are of an earlier call, and their images may have masks by now.

    Raises:
        UNetError: a link cannot be made, or another file has its name.
    """
    links: dict[str, Path] = {}
    for path in paths:
        name = "_".join(PurePosixPath(path).parts)
        while name in links:
            name = f"_{name}"
        links[name] = tree.path(path).resolve()
    try:
        make_folder(folder)
        for old in list(folder.iterdir()):
            if old.is_symlink():
                old.unlink()
        for name, image in links.items():
            if os.path.lexists(folder / name):
                raise UNetError(f"{folder / name} is there, and is no link; remove it, or give another folder")
            (folder / name).symlink_to(image)
    except OSError as error:
        raise UNetError(f"{folder}: cannot be written: {error.strerror or error}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Link the images that the command line names; print their number; return the exit status."""
    def work() -> None:
        config = parse_options(list(sys.argv[1:] if argv is None else argv), "Link images without masks.", True)
        tree = read_tree(config.data_path)
        paths = unlabelled(tree, pick(tree, find_layouts(tree, is_mask),
                                      {name: getattr(config, name) for name in config.given}))
        if paths:
            link(tree, paths, Path(config.output_path))
        print(len(paths))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
