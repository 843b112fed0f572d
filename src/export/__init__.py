"""Networks for other programs: exported files, their repair, cache and runtime; and weights from Keras."""
