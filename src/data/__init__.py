"""Data: one reader a file layout, paired transforms, position-addressed samples, and the MindSpore pipeline.

Everything but ``pipeline`` runs without MindSpore.
"""
