import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The same as copy_program.py, with the Java client, whose transactions raise the epoch each time (KIP-890). */
public final class CopyProgram {
    private static final int ABORTS_EVERY = 4;

    public static void main(String[] arguments) {
        String source = arguments[0];
        String target = arguments[1];
        String group = arguments[2];
        Properties forProducer = new Properties();
        forProducer.put("bootstrap.servers", arguments[3]);
        forProducer.put("transactional.id", group);
        Properties forConsumer = new Properties();
        forConsumer.put("bootstrap.servers", arguments[3]);
        forConsumer.put("group.id", group);
        forConsumer.put("group.instance.id", group);
        forConsumer.put("auto.offset.reset", "earliest");
        forConsumer.put("enable.auto.commit", "false");
        forConsumer.put("isolation.level", "read_committed");
        forConsumer.put("max.poll.records", "25");
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(forProducer, new ByteArraySerializer(), new ByteArraySerializer());
            KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(forConsumer, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            producer.initTransactions();
            consumer.subscribe(List.of(source));
            copy(consumer, producer, target);
        }
    }

    private static void copy(
            KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer, String target) {
        int copied = 0;
        int transactions = 0;
        while (true) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty()) {
                continue;
            }
            transactions++;
            producer.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                producer.send(new ProducerRecord<>(target, record.partition(), record.key(), record.value()));
                offsets.put(
                    new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            if (transactions % ABORTS_EVERY == 0) {
                // Otherwise events that are not sent yet are dropped, and nothing aborted reaches the log.
                producer.flush();
                producer.abortTransaction();
                for (TopicPartition partition : records.partitions()) {
                    consumer.seek(partition, records.records(partition).get(0).offset());
                }
                continue;
            }
            producer.commitTransaction();
            copied += records.count();
            System.out.println("{\"copied\": " + copied + "}");
        }
    }

    private CopyProgram() {}
}
