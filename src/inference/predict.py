"""Masks of images without labels, from checkpoints or an ONNX file."""
import logging
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tqdm import tqdm

from src.data.image_files import ImageFile, list_image_files
from src.evaluation.object_fit import with_fitted
from src.inference.file_predictor import FilePredictor
from src.inference.loading import names_onnx
from src.inference.summary import write_summary
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import remove_leftovers
from src.model_utils.ranks import Ranks
from src.report import prediction

logger = logging.getLogger("unet")

SECONDS = 10        # between the lines that say how far several ranks are


def predict(config: Config) -> int:
    """Write the masks of all images at data_path.

    A bad file among several is reported, and the others are predicted. With run_distribute the ranks share the files,
    and rank 0 writes the table of objects and the report.

    Args:
        config (Config): data_path, output_path, skip_existing, run_distribute, what ``load_network``,
            ``PagePredictor`` and ``MaskOptions`` use.

    Returns:
        int: number of files that could not be predicted, by all ranks.

    Raises:
        UNetError: there is no image, the only one cannot be read, the network cannot be loaded, or another rank failed.
    """
    ranks = _join(config)
    network = config.file_name if names_onnx(config) else config.checkpoint_file_path
    with ranks.reporting_failure():
        files = list_image_files(config.data_path)
        if config.objects:
            config = with_fitted(config, network)
        predictor = FilePredictor(config)
        left = predictor.records.left(files) if config.skip_existing else files
    own = _share(left, ranks)       # no rank changes anything before all have looked
    started = time.perf_counter()
    with ranks.reporting_failure():
        found = _predict_share(files, left, own, predictor, ranks)
    pages, failed = (int(ranks.values(value).sum()) for value in found)
    seconds = time.perf_counter() - started
    _say_progress(len(left), len(left), seconds, ranks)
    with ranks.reporting_failure():
        if ranks.rank == 0:
            write_summary(files, predictor, network)
            logger.info("%d images of %d files in %.1f s, %.3g images/s", pages, len(left) - failed, seconds,
                        pages / seconds)
            predictor.say_where()
    ranks.synchronize()
    if failed:
        logger.info("%d of %d files could not be predicted", failed, len(files))
    return failed


def _join(config: Config) -> Ranks:
    """Join the other ranks, if there are some."""
    if not config.run_distribute:
        return Ranks()
    from src.model_utils.runtime import start_runtime

    runtime = start_runtime(config)
    return Ranks(runtime.rank, runtime.group_size)


def _share(left: Sequence[ImageFile], ranks: Ranks) -> list[ImageFile]:
    """Return the files of this rank, in their order: about as many bytes as those of the others.

    All ranks wait here for each other.

    Raises:
        UNetError: they have found different files to predict, or other sizes, by which they would share differently.
    """
    sizes = [_bytes(file) for file in left]
    found = "\0".join(f"{size} {file.name}" for size, file in zip(sizes, left))
    if len(set(ranks.values(zlib.crc32(found.encode(errors="surrogateescape"))))) > 1:
        raise UNetError("the ranks find different files to predict, or files of different sizes; data_path and "
                        "output_path must be on a disk that all of them share, and nothing else may write there; call "
                        "it again when the images are complete")
    by_size = sorted(range(len(left)), key=lambda place: (-sizes[place], place))
    return [left[place] for place in sorted(by_size[ranks.rank::ranks.size])]


def _predict_share(files: Sequence[ImageFile], left: Sequence[ImageFile], own: Sequence[ImageFile],
                   predictor: FilePredictor, ranks: Ranks) -> tuple[int, int]:
    """Predict the files of this rank; return the number of pages, and of the files that could not be predicted."""
    places = {file: place for place, file in enumerate(files)}
    predictor.records.forget(own)
    for folder in (*predictor.folders, predictor.records.folder, predictor.records.output):
        remove_leftovers(folder)
    pages = failed = 0
    for file in _with_progress(own, left, predictor, ranks):
        has_pictures = predictor.config.report and places[file] < prediction.MOST_PICTURES
        try:
            pages += predictor.predict(file, prediction.MOST_PICTURES if has_pictures else 0)
        except UNetError as error:
            if len(files) == 1:
                raise
            failed += 1
            predictor.records.add_failed(file, str(error))
            tqdm.write(f"error: {error}", file=sys.stderr)
    return pages, failed


def _bytes(file: ImageFile) -> int:
    """Return the size of a file; 0 if it is gone, of which its prediction tells."""
    with suppress(OSError):
        return file.path.stat().st_size
    return 0


def _with_progress(own: Sequence[ImageFile], left: Sequence[ImageFile], predictor: FilePredictor,
                   ranks: Ranks) -> Iterator[ImageFile]:
    """Yield the files of this rank. Of several ranks, the first one logs how far all are."""
    if ranks.size == 1:
        yield from tqdm(own, unit="file", disable=None, file=sys.stderr)
        return
    logger.info("rank %d of %d: %d of %d files", ranks.rank, ranks.size, len(own), len(left))
    started = said = time.monotonic()
    for file in own:
        yield file
        now = time.monotonic()
        if ranks.rank == 0 and now - said > SECONDS:
            said = now
            _say_progress(predictor.records.count(left), len(left), now - started, ranks)


def _say_progress(done: int, count: int, seconds: float, ranks: Ranks) -> None:
    """Log how far all ranks are, in the line that the launcher shows; the first of several ranks does it."""
    if ranks.size > 1 and ranks.rank == 0:
        logger.info("predicted %d of %d files by %d ranks in %.0f s, about %.0f s are left", done, count, ranks.size,
                    seconds, seconds * (count - done) / max(1, done))
