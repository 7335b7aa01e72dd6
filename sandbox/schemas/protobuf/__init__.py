"""Protobuf schemas: compiling, printing, compatibility, values."""
