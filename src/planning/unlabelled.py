"""The images of a data set that have no masks, for which a network is trained.

``python -m src.planning.unlabelled --data_path=DIR --output=FOLDER`` links them in a folder, for predict.py.
"""
import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from src.data.preparation.isbi_slices import TEST_STACK
from src.model_utils.errors import UNetError
from src.model_utils.files import make_folder
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

    Raises:
        UNetError: a link cannot be made, or another file has its name.
    """
    names: set[str] = set()
    try:
        make_folder(folder)
        for path in paths:
            name, image = "_".join(PurePosixPath(path).parts), tree.path(path).resolve()
            while name in names:
                name = f"_{name}"
            names.add(name)
            if not os.path.lexists(folder / name):
                (folder / name).symlink_to(image)
            elif not (folder / name).is_symlink() or Path(os.readlink(folder / name)) != image:
                raise UNetError(f"{folder / name} is there, and is no link to {image}; remove it, or give another "
                                f"folder")
    except OSError as error:
        raise UNetError(f"{folder}: cannot be written: {error.strerror or error}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Link the images that the command line names; print their number; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m src.planning.unlabelled", description="Link images without masks.")
    parser.add_argument("--data_path", required=True, help="folder of the data set")
    parser.add_argument("--output", required=True, type=Path, help="folder for the links")
    args = parser.parse_args(argv)
    try:
        tree = read_tree(args.data_path)
        paths = unlabelled(tree, pick(tree, find_layouts(tree, is_mask), {}))
        if paths:
            link(tree, paths, args.output)
    except UNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(len(paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
