"""Consumers started from the page, and the guided scenarios."""
