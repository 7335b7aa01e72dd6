"""Stores snapshots of the whole file, and runs forks of them."""
