"""The Model Context Protocol server: tools with which a coding agent reads and uses a sandbox."""
