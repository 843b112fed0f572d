"""Prediction of images of any size in windows, while training and after it. Without MindSpore."""
