"""Damage to the bytes of a file, in every way that is found in practice."""
import numpy as np

rng = np.random.default_rng(0)



def truncated(data, step):
    for length in range(0, len(data), step):
        yield f"cut to {length} bytes", data[:length]


def flipped(data, count):
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            copy[rng.integers(len(copy))] ^= 1 << rng.integers(8)
        yield "bits flipped", bytes(copy)


def zeroed(data, count):
    for _ in range(count):
        start = int(rng.integers(len(data)))
        length = int(rng.integers(1, 600))
        yield "zero bytes", (data[:start] + bytes(length) + data[start + length:])[:len(data)]


def foreign():
    yield "empty", b""
    yield "text", b"not what was asked for\n" * 20
    yield "zeros", bytes(4096)
    yield "noise", rng.integers(0, 256, 4096, dtype=np.uint8).tobytes()
    for magic in (b"II*\0", b"MM\0*", b"II+\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"PK\3\4"):
        yield f"magic {magic!r} alone", magic + rng.integers(0, 256, 500, dtype=np.uint8).tobytes()
