"""The page: what a browser sees of a sandbox."""
