// The client program of Apache Kafka's own Java client.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.internals.AppInfoParser;

public final class KafkaProgram {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "org.apache.kafka.clients.consumer.RangeAssignor",
        "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

    private final String bootstrap;
    private final LinkedBlockingQueue<JsonNode> commands = new LinkedBlockingQueue<>();
    private volatile boolean leave;

    private KafkaProgram(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] arguments) throws Exception {
        new KafkaProgram(arguments[arguments.length - 1]).serve();
    }

    private void serve() throws Exception {
        say(JSON.createObjectNode().put("ready", true).put("version", AppInfoParser.getVersion()));
        Thread listener = new Thread(this::listen);
        listener.setDaemon(true);
        listener.start();
        while (true) {
            JsonNode command = commands.take();
            if (command.isMissingNode()) {
                return;
            }
            try {
                say(answer(command));
            } catch (Exception error) {
                error.printStackTrace();
                Throwable cause = error.getCause() == null ? error : error.getCause();
                say(JSON.createObjectNode().put("error", cause.getClass().getSimpleName() + ": " + cause.getMessage()));
            }
        }
    }

    private void listen() {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                JsonNode command = JSON.readTree(line);
                if (command.get("do").asText().equals("leave")) {
                    leave = true;
                } else {
                    commands.add(command);
                }
            }
        } catch (IOException error) {
            error.printStackTrace();
        }
        leave = true;
        commands.add(JSON.missingNode());
    }

    private ObjectNode answer(JsonNode command) throws Exception {
        return switch (command.get("do").asText()) {
            case "create_topic" -> createTopic(command);
            case "produce" -> produce(command);
            case "read" -> read(command);
            case "join" -> new Member(command).run();
            default -> throw new IllegalArgumentException("unknown command");
        };
    }

    private ObjectNode createTopic(JsonNode command) throws Exception {
        try (Admin admin = Admin.create(properties())) {
            int partitions = command.get("partitions").asInt();
            admin.createTopics(List.of(new NewTopic(command.get("topic").asText(), partitions, (short) 1))).all().get();
        }
        return JSON.createObjectNode().put("created", true);
    }

    private ObjectNode produce(JsonNode command) throws Exception {
        Properties properties = properties();
        properties.put("compression.type", command.get("compression").asText());
        properties.put("enable.idempotence", command.get("idempotent").asText());
        properties.put("linger.ms", "5");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (JsonNode event : command.get("events")) {
                List<Header> headers = new ArrayList<>();
                for (JsonNode pair : event.get(3)) {
                    headers.add(new RecordHeader(pair.get(0).asText(), bytes(pair.get(1))));
                }
                sent.add(producer.send(new ProducerRecord<>(command.get("topic").asText(), null,
                    event.get(0).asLong(), bytes(event.get(1)), bytes(event.get(2)), headers)));
            }
            producer.flush();
        }
        for (Future<RecordMetadata> each : sent) {
            each.get();
        }
        return JSON.createObjectNode().put("produced", sent.size());
    }

    private KafkaConsumer<byte[], byte[]> consumer(JsonNode command, Map<String, String> more) {
        Properties properties = properties();
        properties.put("group.id", command.get("group").asText());
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.putAll(more);
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private ObjectNode read(JsonNode command) {
        ObjectNode answer = JSON.createObjectNode();
        ArrayNode events = answer.putArray("events");
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(command, Map.of())) {
            consumer.subscribe(List.of(command.get("topic").asText()));
            while (events.size() < command.get("count").asInt() && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], byte[]> found : consumer.poll(Duration.ofMillis(500))) {
                    ArrayNode event = events.addArray();
                    event.add(found.partition()).add(found.offset()).add(found.timestamp());
                    event.add(text(found.key())).add(text(found.value()));
                    ArrayNode headers = event.addArray();
                    for (Header header : found.headers()) {
                        headers.addArray().add(header.key()).add(text(header.value()));
                    }
                }
            }
            consumer.commitSync();
        }
        return answer;
    }

    // One member of a group: it owns its positions and commits them when partitions are taken away.
    private final class Member implements ConsumerRebalanceListener {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final String topic;
        private final Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();

        private Member(JsonNode command) {
            topic = command.get("topic").asText();
            boolean brokerAssigns = command.get("protocol").asText().equals("consumer");
            String assignor = command.get("assignor").asText();
            consumer = consumer(command, brokerAssigns
                ? Map.of("group.protocol", "consumer", "group.remote.assignor", assignor)
                : Map.of(
                    "partition.assignment.strategy", ASSIGNORS.get(assignor),
                    "session.timeout.ms", command.get("session_ms").asText(),
                    "heartbeat.interval.ms", "300"));
        }

        private ObjectNode run() {
            leave = false;
            consumer.subscribe(List.of(topic), this);
            while (!leave) {
                ArrayNode read = JSON.createArrayNode();
                for (ConsumerRecord<byte[], byte[]> found : consumer.poll(Duration.ofMillis(100))) {
                    TopicPartition partition = new TopicPartition(found.topic(), found.partition());
                    positions.put(partition, new OffsetAndMetadata(found.offset() + 1));
                    read.addArray().add(found.partition()).add(found.offset());
                }
                if (!read.isEmpty()) {
                    ObjectNode report = JSON.createObjectNode().put("report", "events");
                    report.set("positions", read);
                    say(report);
                }
            }
            consumer.close();
            return JSON.createObjectNode().put("left", true);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            report("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            report("revoked", partitions);
            Map<TopicPartition, OffsetAndMetadata> taken = new HashMap<>(positions);
            taken.keySet().retainAll(partitions);
            consumer.commitSync(taken);
            positions.keySet().removeAll(partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            report("lost", partitions);
            positions.clear();
        }

        private void report(String what, Collection<TopicPartition> partitions) {
            Instant now = Instant.now();
            long atUs = now.getEpochSecond() * 1_000_000 + now.getNano() / 1000;
            ObjectNode report = JSON.createObjectNode().put("report", what).put("at_us", atUs);
            ArrayNode numbers = report.putArray("partitions");
            partitions.stream().map(TopicPartition::partition).sorted().forEach(numbers::add);
            say(report);
        }
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    private static byte[] bytes(JsonNode text) {
        return text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    private static String text(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }

    private static void say(JsonNode line) {
        synchronized (System.out) {
            System.out.println(line);
        }
    }
}
