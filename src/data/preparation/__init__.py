"""Preparation of raw data sets for training: nuclei, COCO, ISBI stacks. Without MindSpore.

``nuclei``, ``coco`` and ``isbi_slices`` turn a data set into a list of tasks; ``task_pool`` runs them in several
processes.
"""
