import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own share consumer and admin client. Prints one line per outcome; both brokers must print the same. */
public class ShareProgram {
    private static final Duration WITHIN = Duration.ofSeconds(30);
    private final String servers;
    private final String topic;
    private final String group;

    private ShareProgram(String servers, String name) {
        this.servers = servers;
        this.topic = name;
        this.group = name + "-group";
    }

    public static void main(String[] args) throws Exception {
        new ShareProgram(args[1], args[0]).run();
    }

    private void run() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            set(admin, "share.auto.offset.reset", "earliest");
            produce(0, 9);
            acknowledgeEach();
            renew();
            implicit();
            describe(admin);
            change(admin);
        }
    }

    private void set(Admin admin, String name, String value) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
    }

    private void produce(int first, int end) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", servers);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            IntStream.range(first, end).forEach(n -> producer.send(new ProducerRecord<>(topic, "v" + n)));
            producer.flush();
        }
    }

    private KafkaShareConsumer<String, String> consumer(String mode) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", servers);
        settings.put("group.id", group);
        settings.put("client.id", "java-share");
        settings.put("share.acknowledgement.mode", mode);
        KafkaShareConsumer<String, String> consumer =
            new KafkaShareConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(Set.of(topic));
        return consumer;
    }

    private List<ConsumerRecord<String, String>> poll(KafkaShareConsumer<String, String> consumer) {
        long end = System.nanoTime() + WITHIN.toNanos();
        List<ConsumerRecord<String, String>> found = new ArrayList<>();
        while (found.isEmpty() && System.nanoTime() < end) {
            consumer.poll(Duration.ofMillis(500)).forEach(found::add);
        }
        return found;
    }

    /** Of nine records three are accepted, three released and three rejected; the released ones come again. */
    private void acknowledgeEach() {
        try (KafkaShareConsumer<String, String> consumer = consumer("explicit")) {
            Map<String, Short> first = new TreeMap<>();
            Map<String, Short> again = new TreeMap<>();
            AcknowledgeType[] types = {AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT};
            long end = System.nanoTime() + WITHIN.toNanos();
            while (again.size() < 3 && System.nanoTime() < end) {
                for (ConsumerRecord<String, String> one : poll(consumer)) {
                    boolean isFirst = one.deliveryCount().get() == 1;
                    (isFirst ? first : again).put(one.value(), one.deliveryCount().get());
                    consumer.acknowledge(one, isFirst ? types[(int) one.offset() % 3] : AcknowledgeType.ACCEPT);
                }
                System.err.println(consumer.commitSync());
            }
            System.out.println("first " + first.size() + " again " + again);
        }
    }

    /** A renewed record can still be accepted. */
    private void renew() {
        produce(9, 10);
        try (KafkaShareConsumer<String, String> consumer = consumer("explicit")) {
            ConsumerRecord<String, String> record = poll(consumer).get(0);
            consumer.acknowledge(record, AcknowledgeType.RENEW);
            System.out.println("renewed " + failures(consumer));
            long end = System.nanoTime() + WITHIN.toNanos();
            boolean accepted = false;
            while (!accepted && System.nanoTime() < end) {
                for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(500))) {
                    consumer.acknowledge(one, AcknowledgeType.ACCEPT);
                    accepted = true;
                }
            }
            System.out.println("accepted " + accepted + " " + failures(consumer));
        }
    }

    private long failures(KafkaShareConsumer<String, String> consumer) {
        return consumer.commitSync().values().stream().filter(found -> found.isPresent()).count();
    }

    /** With implicit acknowledgement, closing accepts what the last poll returned. */
    private void implicit() {
        produce(10, 13);
        int seen = 0;
        try (KafkaShareConsumer<String, String> consumer = consumer("implicit")) {
            long end = System.nanoTime() + WITHIN.toNanos();
            while (seen < 3 && System.nanoTime() < end) {
                seen += poll(consumer).size();
            }
            consumer.commitSync();
        }
        System.out.println("implicit " + seen);
    }

    private void describe(Admin admin) throws Exception {
        var described = admin.describeShareGroups(List.of(group)).describedGroups().get(group).get();
        System.out.println("state " + described.groupState() + " members " + described.members().size());
        Collection<?> listed = admin.listGroups(ListGroupsOptions.forShareGroups()).all().get().stream()
            .filter(one -> one.groupId().equals(group)).map(one -> one.type() + " " + one.protocol()).toList();
        System.out.println("listed " + listed);
        var offsets = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
            .partitionsToOffsetInfo(group).get();
        System.out.println("lag " + offsets.get(new TopicPartition(topic, 0)).lag().get());
    }

    private void change(Admin admin) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        admin.alterShareGroupOffsets(group, Map.of(place, 4L)).all().get();
        var offsets = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
            .partitionsToOffsetInfo(group).get();
        System.out.println("altered to " + offsets.get(place).startOffset());
        admin.deleteShareGroupOffsets(group, Set.of(topic)).all().get();
        admin.deleteShareGroups(List.of(group)).all().get();
        System.out.println("deleted");
    }
}
