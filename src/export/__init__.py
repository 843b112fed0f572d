"""A checkpoint for other programs: exported files, their repair, cache and runtime, and Keras weights."""
