"""The web page of a sandbox."""
