"""A fingerprint of the samples that a network was trained on."""
import hashlib
from pathlib import Path

from src.data.samples import TrainingSamples, entries
from src.model_utils.inputs import file_status


def fingerprint(samples: TrainingSamples, root: str | Path) -> str:
    """Return a digest of the samples' names in splits.json and of the sizes in bytes of their mask files.

    It is the same on all machines, and reads no file. ``root`` is the data set's folder. Raises UNetError if a mask is
    gone.
    """
    sizes = [file_status(samples.reader.mask_files(index)[0]).st_size for index in samples.indices]
    return hashlib.sha256(repr([*zip(entries(samples, root), sizes)]).encode()).hexdigest()[:16]
