"""Limits on requests."""

BODY_MAX_BYTES = 32 * 1024 * 1024
"""The largest request body, except an upload's."""
