"""A fingerprint of the samples that a network was trained on."""
import hashlib
from pathlib import Path

from src.data.samples import TrainingSamples, entries


def fingerprint(samples: TrainingSamples, root: str | Path) -> str:
    """Return a digest of the samples' names in splits.json and of the sizes in bytes of their mask files.

    It is the same on all machines, and reads no file. ``root`` is the data set's folder.
    """
    sizes = [samples.reader.mask_path(index).stat().st_size for index in samples.indices]
    return hashlib.sha256(repr([*zip(entries(samples, root), sizes)]).encode()).hexdigest()[:16]
