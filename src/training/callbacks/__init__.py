"""What a run does besides its steps: the callbacks."""
