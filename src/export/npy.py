"""Arrays in npy files that others have made, as NumPy's own reader allocates whatever a header claims."""
import io
import math
import tokenize

import numpy as np


def read_npy(data: bytes) -> np.ndarray:
    """Return the array in the bytes of an npy file.

    Raises:
        ValueError: it is none, it is cut off, or its header claims another size.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read_header(stream)
    # NumPy parses the header as Python.
    except (tokenize.TokenError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from None
    size = len(data) - stream.tell()
    # Objects are pickled, and refused below.
    if not dtype.hasobject and (min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size):
        raise ValueError(f"its header claims the shape {str(shape)[:60]} of {str(dtype)[:30]}, in {size} bytes")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
