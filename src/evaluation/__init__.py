"""Evaluation on NumPy arrays: the metrics, and one evaluation for every way to predict. No MindSpore here."""
