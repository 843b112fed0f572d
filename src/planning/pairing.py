"""Which folder holds the images and which their masks, and by which names they belong together."""
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path, PurePosixPath

from src.data.layouts import TRAIN, VAL
from src.planning.tree import Tree, join

# What names say: images, masks, images without masks, and results of other programs.
IMAGE, MASK, TEST, RESULT = "image", "mask", "test", "result"
# Beginnings of words in the names of folders and files, and whole words: "newborn" and "latest" are no tests.
_MASK_WORDS = ("mask", "label", "annot", "seg", "gt", "ground", "truth", "target", "manual", "lbl", "matte", "instance",
               "contour")
_IMAGE_WORDS = ("image", "img", "input", "raw", "photo", "picture", "jpeg", "original", "frame", "volume", "slice")
_RESULT_WORDS = ("pred", "result", "overlay", "output")
_TEST_WORDS = {"test", "tests", "testing", "new", "unlabeled", "unlabelled"}
_VAL_WORDS = {"val", "valid", "validation", "eval", "minival", "valminusminival"}
_SEPARATORS = "_-. "
LEAST_SHARE = 0.5       # of the masks, or of the images, that must find their partners
TRIED_NAMES = 12        # of each folder, to find what names end with
MOST_FOLDERS = 12       # beside each other, of which two may be images and masks
LOOKED_AT = 3           # files of a folder, to see whether they are masks


@dataclass(frozen=True)
class Pairing:
    """Images and masks whose names fit together.

    Attributes:
        base: the folder that holds both folders; "" is the data set's own.
        image_dir, mask_dir: their paths in it; "." is the base itself.
        image_suffix, mask_suffix: what the names end with, before the ending of the file.
        images: number of images with a mask.
        without_mask, without_image: paths in the tree of the files that have no partner.
    """
    base: str
    image_dir: str
    mask_dir: str
    image_suffix: str = ""
    mask_suffix: str = ""
    images: int = 0
    without_mask: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, str, str, str]:
        """What the options say: the folders and the suffixes."""
        return self.image_dir, self.mask_dir, self.image_suffix, self.mask_suffix


def is_left_out(name: str) -> bool:
    """Return whether the name of a folder says that it does not train: images for tests, or results."""
    return is_for_tests(name) or _begins(name, _RESULT_WORDS)


def is_for_tests(name: str) -> bool:
    """Return whether a name says: images without masks."""
    return not _TEST_WORDS.isdisjoint(_words(name))


def is_for_validation(name: str) -> bool:
    """Return whether a name says: images that validate."""
    return not _VAL_WORDS.isdisjoint(_words(name))


def role(name: str) -> str:
    """Return what the name of a folder or file says: IMAGE, MASK, TEST, RESULT, or an empty text."""
    says = {RESULT: _begins(name, _RESULT_WORDS), MASK: _begins(name, _MASK_WORDS), TEST: is_for_tests(name),
            IMAGE: _begins(name, _IMAGE_WORDS)}
    return next((one for one, is_said in says.items() if is_said), "")


def _begins(name: str, beginnings: tuple[str, ...]) -> bool:
    return any(word.startswith(beginnings) for word in _words(name))


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]*[a-z]+|[A-Z]+", name)]


def find_pairings(tree: Tree, base: str, is_mask: Callable[[Path], bool]) -> list[Pairing]:
    """Find the images and masks in the folders of a folder, or mixed in the folder itself.

    Args:
        tree: names of all files.
        base: the folder.
        is_mask: says of a file whether it holds a mask.
    """
    found = []
    for first, second in _siblings(tree, base):
        order = _images_first(tree, join(base, first), join(base, second), is_mask)
        if order:
            image_dir, mask_dir = (first, second) if order == (join(base, first), join(base, second)) else (
                second, first)
            found += _pair(tree, base, image_dir, mask_dir)
    return [*found, *_mixed(tree, base)]


def _siblings(tree: Tree, base: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of folders of images: a, b; and a/x, b/x, whose parents are in ``base``."""
    names = [name for name in tree.folders.get(base, ()) if not is_left_out(name)]
    with_images = [name for name in names if tree.images(join(base, name))]
    parents = [name for name in names if name not in (TRAIN, VAL) and tree.folders.get(join(base, name))]
    # Many folders are one for each image, or for each patient.
    yield from combinations(with_images if len(with_images) <= MOST_FOLDERS else (), 2)
    for first, second in combinations(parents if len(parents) <= MOST_FOLDERS else (), 2):
        inside = [set(tree.folders[join(base, name)]) for name in (first, second)]
        for name in sorted(inside[0] & inside[1]):
            sides = [tree.images(join(base, f"{side}/{name}")) for side in (first, second)]
            if all(sides) and not is_left_out(name):
                yield f"{first}/{name}", f"{second}/{name}"


def _images_first(tree: Tree, first: str, second: str, is_mask: Callable[[Path], bool]) -> tuple[str, str] | None:
    """Return the two folders, that of the images first; None if they are not images and masks."""
    roles = [role(_telling_part(first, second)), role(_telling_part(second, first))]
    if roles.count(MASK) == 2:
        return None
    if MASK in roles:
        return (first, second) if roles[1] == MASK else (second, first)
    masks = [all(map(is_mask, (tree.path(folder, name) for name in tree.images(folder)[:LOOKED_AT])))
             for folder in (first, second)]
    if masks[0] == masks[1] or masks[0] and roles[0] == IMAGE or masks[1] and roles[1] == IMAGE:
        return None
    return (first, second) if masks[1] else (second, first)


def _telling_part(path: str, other: str) -> str:
    """Return the part of a path that differs from another one: a of a/x and b/x."""
    return next((own for own, part in zip(path.split("/"), other.split("/")) if own != part), path)


def _pair(tree: Tree, base: str, image_dir: str, mask_dir: str) -> list[Pairing]:
    images, masks = tree.images(join(base, image_dir)), tree.images(join(base, mask_dir))
    stems = {PurePosixPath(name).stem for name in images}, {PurePosixPath(name).stem for name in masks}
    suffixes = find_suffixes(*stems)
    if suffixes is None:
        return []
    return _pairing(Pairing(base, image_dir, mask_dir, *suffixes), images, masks)


def _mixed(tree: Tree, base: str) -> list[Pairing]:
    """Find masks that lie beside their images, and whose names say that they are masks."""
    names = tree.images(base)
    stems = [PurePosixPath(name).stem for name in names]
    masks = {stem for stem, own in _own_parts(set(stems)).items() if role(own) == MASK}
    suffixes = find_suffixes(set(stems) - masks, masks)
    if suffixes is None or role(suffixes[1]) != MASK:
        return []
    return _pairing(Pairing(base, ".", ".", *suffixes),
                    [name for name, stem in zip(names, stems) if not stem.endswith(suffixes[1])],
                    [name for name, stem in zip(names, stems) if stem.endswith(suffixes[1])])


def _own_parts(stems: set[str]) -> dict[str, str]:
    """Return of each name the words that it does not share with the name most like it: _mask of seg_1_mask."""
    ordered = sorted(stems)
    shared = [0, *(len(os.path.commonprefix(two)) for two in pairwise(ordered)), 0]
    return {stem: stem[_word_start(stem, max(both)):] for stem, both in zip(ordered, pairwise(shared))}


def _word_start(name: str, place: int) -> int:
    """Return where the word at a place begins, with what separates it from the word before if that is there."""
    if place == len(name) or name[place] in _SEPARATORS:
        return place
    return 1 + max(name.rfind(separator, 0, place) for separator in _SEPARATORS)


def _pairing(pairing: Pairing, images: list[str], masks: list[str]) -> list[Pairing]:
    """Return the pairing with its counts, in a list; an empty list if too few of the files have partners."""
    of_image, of_mask = ({PurePosixPath(name).stem.removesuffix(suffix): name for name in names
                          if PurePosixPath(name).stem.endswith(suffix)}
                         for names, suffix in ((images, pairing.image_suffix), (masks, pairing.mask_suffix)))
    both = of_image.keys() & of_mask.keys()
    if not both or len(both) < LEAST_SHARE * min(len(images), len(masks)):
        return []
    folders = [pairing.base if folder == "." else join(pairing.base, folder) for folder in pairing.names[:2]]
    return [Pairing(pairing.base, *pairing.names, len(both),
                    [join(folders[0], of_image[name]) for name in of_image if name not in both],
                    [join(folders[1], of_mask[name]) for name in of_mask if name not in both])]


def find_suffixes(images: set[str], masks: set[str]) -> tuple[str, str] | None:
    """Return what the names of images and of masks end with, beyond what a pair has in common.

    It holds no digits, since these tell one image from another. None if no pair is found.
    """
    if not images or not masks:
        return None
    votes: Counter[tuple[str, str]] = Counter()
    votes[("", "")] = len(images & masks)
    for mask in sorted(masks)[:TRIED_NAMES]:
        common = {image: len(os.path.commonprefix([image, mask])) for image in images}
        longest = max(common.values())
        # What separates a name from its suffix belongs to the suffix: 1_img and 1_mask end with _img and _mask.
        same = len(mask[:longest].rstrip(_SEPARATORS))
        for image in sorted(image for image in images if common[image] == longest)[:TRIED_NAMES]:
            rests = image[same:], mask[same:]
            if rests not in votes and not re.search(r"\d", "".join(rests)) and (longest or len(masks) == 1):
                votes[rests] = len({name.removesuffix(rests[0]) for name in images if name.endswith(rests[0])}
                                   & {name.removesuffix(rests[1]) for name in masks if name.endswith(rests[1])})
    best = max(votes, key=lambda rests: (votes[rests], -len("".join(rests))))
    return best if votes[best] else None
