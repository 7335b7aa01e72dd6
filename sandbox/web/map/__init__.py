"""The map: producers, topics and groups, and what flows between them."""
