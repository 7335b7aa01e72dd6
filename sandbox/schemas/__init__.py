"""Avro, JSON Schema and Protobuf: parsing, compatibility, framing, decoding and encoding. No SQL, sockets or clock."""
