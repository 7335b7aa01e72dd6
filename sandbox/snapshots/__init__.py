"""Snapshots of the whole file, and forks of it."""
