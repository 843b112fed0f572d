"""The outside world: options, device, ranks, and how a script starts and ends."""
