"""Prediction of images without labels: models, windows, test-time augmentation and the files that are written."""
