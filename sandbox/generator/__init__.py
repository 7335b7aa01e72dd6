"""Generate events from templates at a configured rate."""
