"""Records of the image files that were predicted, beside their results.

A record is written after all results of its image file. So a run resumes where another one stopped, and the ranks of a
run leave what they found to the one that writes the table of objects and the report.
"""
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from src.data.image_files import ImageFile
from src.data.input_options import COLOR, EVAL_ACTIVATE, NETWORK, PIXELS, TARGET
from src.inference.page_predictor import PagePredictor
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import remove, write_atomically
from src.model_utils.inputs import MOST_ANNOTATIONS, file_status, hash_of, read_json
from src.report.prediction import PredictedPage
from src.tiling.windows import holds_context

logger = logging.getLogger("unet")

FOLDER = ".predicted"
REPORT = "report"       # beside the names of the folders, a kind of result
# What the results depend on: the network's files and these options.
NETWORK_FILES = "network_files"
_OPTIONS = (*NETWORK, TARGET, *PIXELS, "image_size", "crop", "scale", "tta", "close_membranes", "cpu_precision",
            EVAL_ACTIVATE, COLOR)
_OF_OBJECTS = ("object_threshold", "object_split", "object_min_distance", "object_seed_threshold", "fill_holes",
               "object_min_size", "object_min_probability", "object_size_unit")


@dataclass(frozen=True)
class Record:
    """What is known of an image file.

    Attributes:
        image: path, bytes and time of change of the image file.
        made_with: option -> value, and the hashes of the network's files.
        kinds: kinds of results, which are the names of their folders, and ``REPORT``.
        results: path in the output folder -> bytes.
        pages: what the report says of its pages.
        rows: its lines of objects.csv.
        failed: why it could not be predicted.
    """
    image: list[Any]
    made_with: dict[str, Any] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    results: dict[str, int] = field(default_factory=dict)
    pages: list[PredictedPage] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    failed: str = ""

    def to_json(self) -> bytes:
        """Return the record as a file holds it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Record":
        """Return the record in a file. Raises one of ``WRONG_CONTENT`` if it is damaged."""
        record = cls(**{**values, "pages": [PredictedPage.from_dict(page) for page in values["pages"]]})
        if not all(isinstance(getattr(record, name), type(value)) for name, value in vars(cls([])).items()):
            raise TypeError("a value of another type")
        if not all(isinstance(text, str) for text in record.kinds + record.rows):
            raise TypeError("kinds or rows that are no texts")
        return record


class Records:
    """The records in an output folder.

    Args:
        output: the folder.
        made_with: see ``made_with``.
        kinds: the kinds of results that are wanted.
    """

    def __init__(self, output: str | Path, made_with: Mapping[str, Any], kinds: Sequence[str]):
        self.output, self.folder = Path(output), Path(output) / FOLDER
        self.made_with: dict[str, Any] = json.loads(json.dumps(made_with))      # lists in place of tuples, as in a file
        self.kinds = list(kinds)

    def path(self, file: ImageFile) -> Path:
        """Return the path of a record; names may be too long for an ending of their own."""
        digest = hashlib.blake2s(os.fsencode(file.name), digest_size=16)
        return self.folder / f"{digest.hexdigest()}.json"

    def read(self, file: ImageFile) -> Record | None:
        """Return the record of an image file; None if there is none, or it is damaged."""
        with suppress(UNetError):
            return read_json(self.path(file), Record.from_dict, most=MOST_ANNOTATIONS)
        return None

    def add(self, file: ImageFile, image: list[Any], paths: Sequence[Path], pages: list[PredictedPage],
            rows: list[str]) -> None:
        """Write the record of a predicted file, whose results are at ``paths``. Raises UNetError."""
        results = {os.fspath(path.relative_to(self.output)): path.stat().st_size for path in paths}
        self._write(file, Record(image, self.made_with, self.kinds, results, pages, rows))

    def add_failed(self, file: ImageFile, message: str) -> None:
        """Write the record of a file that could not be predicted. Raises UNetError."""
        image: list[Any] = []
        with suppress(UNetError):       # it may be gone
            image = identity(file)
        self._write(file, Record(image, failed=message))

    def _write(self, file: ImageFile, record: Record) -> None:
        write_atomically(self.path(file), record.to_json())

    def forget(self, files: Sequence[ImageFile]) -> None:
        """Remove the records of files that are predicted again."""
        for file in files:
            remove(self.path(file))

    def count(self, files: Sequence[ImageFile]) -> int:
        """Return how many of the files have a record. Other ranks may be writing them."""
        names = {self.path(file).name for file in files}
        try:
            return sum(name in names for name in os.listdir(self.folder))
        except FileNotFoundError:
            return 0

    def left(self, files: Sequence[ImageFile]) -> list[ImageFile]:
        """Return the files that are not predicted yet, have changed since, or lack a result.

        Raises:
            UNetError: results were made by another network or with other options.
        """
        records = {file: record for file in files if (record := self.read(file)) and self._is_whole(record)}
        changed = {file for file, record in records.items() if record.image != identity(file)}
        done = [record for file, record in records.items() if file not in changed]
        self._check_made_with(done)
        logger.info("skip_existing: %d of %d files are predicted already%s", len(done), len(files),
                    f"; {len(changed)} have changed since they were" if changed else "")
        return [file for file in files if file not in records or file in changed]

    def _is_whole(self, record: Record) -> bool:
        """Return whether all results that are wanted are there, as they were written."""
        def size(path: str) -> int:
            with suppress(OSError, ValueError):
                return os.stat(self.output / path).st_size
            return -1

        return (not record.failed and set(self.kinds) <= set(record.kinds)
                and all(size(path) == bytes_ for path, bytes_ in record.results.items()))

    def _check_made_with(self, records: Sequence[Record]) -> None:
        for name, value in self.made_with.items():
            others = [record.made_with[name] for record in records if record.made_with.get(name, value) != value]
            if others:
                differs = ("another network" if name == NETWORK_FILES else
                           f"{name} {others[0]}, and {name} is {value}")
                raise UNetError(f"skip_existing: {self.output} has results of {len(others)} files that were made with "
                                f"{differs}; leave out skip_existing to make all again, or give another output_path")


def made_with(predictor: PagePredictor, config: Config) -> dict[str, Any]:
    """Return what the results depend on: the hashes of the network's files, and option -> value."""
    hashes = [hash_of(path).hexdigest() for path in predictor.network.files]
    options = {name: getattr(predictor.config, name) for name in _OPTIONS}
    if config.objects:
        options |= {name: getattr(config, name) for name in _OF_OBJECTS}
    windows = predictor.network.windows
    side = min(windows.fixed_size or (windows.largest // windows.field.stride * windows.field.stride,))
    # Windows that are too small for the context are blended; of all others the results are the same.
    blended = 0 if holds_context(windows.field, side) else side
    return {NETWORK_FILES: hashes, **options, "tile_size (blended)": blended,
            "resizing as in training": predictor.resized is not None}


def identity(file: ImageFile) -> list[Any]:
    """Return what tells whether an image file is still the same. Raises UNetError if it is gone."""
    found = file_status(file.path)
    return [os.fspath(file.path.resolve()), found.st_size, found.st_mtime_ns]
