"""Runs the consumers that are started from the page, and the guided scenarios."""
