"""Templates of events, and what sends them at a rate."""
