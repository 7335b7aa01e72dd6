"""The pages of the schema registry."""
