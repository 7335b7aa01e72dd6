"""The pages' other backend: any Kafka cluster, through confluent_kafka's own clients."""
