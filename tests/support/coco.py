"""What COCO's annotation files hold."""
import numpy as np

from src.data.preparation.coco_masks import pieces


def runs(mask):
    """The uncompressed run-length code of a mask: column by column, zeros first."""
    values = np.concatenate([[0], mask.T.ravel(), [2]])
    ends = np.flatnonzero(values[1:] != values[:-1])
    starts = np.concatenate([[0], ends[:-1]])
    return {"size": list(mask.shape), "counts": [int(count) for count in ends - starts]}


def area(segmentation, height, width):
    """The (height, width) bool mask of a segmentation."""
    columns = np.zeros(width * height, bool)
    for start, end in pieces(segmentation, height, width).tolist():
        assert not columns[start:end].any()
        columns[start:end] = True
    return columns.reshape(width, height).T
