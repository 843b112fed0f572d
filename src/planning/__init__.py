"""Chooses options by what a data set and the machine are, for ``--config_path=auto``."""
