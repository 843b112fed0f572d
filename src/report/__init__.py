"""What people look at after a run: the picture of its curves, and a page about it."""
