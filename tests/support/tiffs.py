"""TIFF files that tifffile does not write: packed numbers."""
import struct

import numpy as np


def write_packed(path, array, bits, photometric=1):
    """Write (H, W) whole numbers of ``bits`` bits, each row packed and filled up to whole bytes."""
    places = np.arange(bits - 1, -1, -1, dtype=np.uint64)
    data = np.packbits((array[..., None].astype(np.uint64) >> places & 1).astype(np.uint8).reshape(len(array), -1),
                       axis=1).tobytes()
    tags = [(256, array.shape[1]), (257, len(array)), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1),
            (278, len(array)), (279, len(data))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data += b"\0" * (len(data) % 2)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4))
