"""The parts of the direct API."""
