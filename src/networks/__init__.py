"""Networks: one file a network, the layers that they are made of, and the registry that knows them all."""
