"""Preparation of raw data sets for training: nuclei, COCO, ISBI stacks. Without MindSpore.

A data set becomes a list of tasks (``nuclei``, ``coco``, ``isbi_slices``), and ``task_pool`` does them in several
processes.
"""
