"""Helpers of the tests: none of them imports a test."""
