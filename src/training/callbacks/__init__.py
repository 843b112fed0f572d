"""What happens beside the steps of a run, one callback a file."""
