"""The schema registry's rules: what Confluent's Schema Registry does, without SQL, sockets or a clock."""
