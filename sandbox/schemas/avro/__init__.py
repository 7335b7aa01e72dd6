"""Avro schemas: parsing, printing, compatibility, values."""
