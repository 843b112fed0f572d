"""Prediction on new images: loading networks, windows, test-time augmentation, and the files that are written."""
