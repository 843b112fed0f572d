"""Preparation of raw data sets for training: nuclei, COCO, ISBI stacks. Without MindSpore.

A data set becomes a list of tasks (``nuclei``, ``coco``, ``slices``), and ``work`` does them in several processes.
"""
