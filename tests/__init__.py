"""The tests, by the rooms that they test; support/ holds what several of them use."""
