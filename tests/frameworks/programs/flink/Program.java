import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Flink: a job reads orders to their end and writes bills exactly once, with checkpoints and transactions. */
public class Program {
    private static final String SERVERS = System.getenv("KAFKA_BOOTSTRAP_SERVERS");
    private static final int ORDERS = 20;

    public static void main(String[] args) throws Exception {
        try (var producer = new KafkaProducer<>(
                Map.<String, Object>of("bootstrap.servers", SERVERS), new StringSerializer(), new StringSerializer())) {
            for (int n = 0; n < ORDERS; n++) {
                producer.send(new ProducerRecord<>("orders", "user-" + n % 3, "" + n));
            }
        }
        run();
        check();
        System.out.println("Flink " + EnvironmentInformation.getVersion() + " ok");
    }

    private static void run() throws Exception {
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        environment.setParallelism(2);
        environment.enableCheckpointing(500);
        KafkaSource<String> orders = KafkaSource.<String>builder()
            .setBootstrapServers(SERVERS).setTopics("orders").setGroupId("billing")
            .setStartingOffsets(OffsetsInitializer.earliest()).setBounded(OffsetsInitializer.latest())
            .setValueOnlyDeserializer(new SimpleStringSchema()).build();
        KafkaSink<String> bills = KafkaSink.<String>builder()
            .setBootstrapServers(SERVERS)
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE).setTransactionalIdPrefix("billing")
            .setProperty("transaction.timeout.ms", "600000")
            .setRecordSerializer(KafkaRecordSerializationSchema.builder()
                .setTopic("bills").setValueSerializationSchema(new SimpleStringSchema()).build())
            .build();
        environment.fromSource(orders, WatermarkStrategy.noWatermarks(), "orders")
            .map(order -> "" + Integer.parseInt(order) * 2).returns(String.class).sinkTo(bills);
        environment.execute("billing");
    }

    private static void check() {
        Map<String, Object> settings = Map.of("bootstrap.servers", SERVERS, "group.id", "check",
            "auto.offset.reset", "earliest", "isolation.level", "read_committed");
        List<Integer> found = new ArrayList<>();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of("bills"));
            for (int poll = 0; poll < 30 && found.size() < ORDERS; poll++) {
                consumer.poll(Duration.ofSeconds(1)).forEach(bill -> found.add(Integer.parseInt(bill.value())));
            }
        }
        if (!found.stream().sorted().toList().equals(IntStream.range(0, ORDERS).map(n -> n * 2).boxed().toList())) {
            throw new IllegalStateException("bills: " + found);
        }
    }
}
