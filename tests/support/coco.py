"""What COCO's annotation files hold."""
import numpy as np


def runs(mask):
    """The uncompressed run-length code of a mask: column by column, zeros first."""
    values = np.concatenate([[0], mask.T.ravel(), [2]])
    ends = np.flatnonzero(values[1:] != values[:-1])
    starts = np.concatenate([[0], ends[:-1]])
    return {"size": list(mask.shape), "counts": [int(count) for count in ends - starts]}
