"""Networks: one file for each, the layers that they consist of, and the registry of all."""
