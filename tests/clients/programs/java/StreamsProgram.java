import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.LagInfo;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.processor.StandbyUpdateListener;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.TaskId;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * Counts words with Kafka Streams: the classic protocol, exactly_once_v2, a repartition topic, a store with a
 * changelog and a standby replica.
 *
 * Arguments: a folder for state directories, a name that nothing else uses, the bootstrap address. It prints one line
 * of JSON per step: what happened to the store's partitions, and the counts that a read_committed consumer has read
 * for each word so far.
 */
public class StreamsProgram {
    private static final String STORE = "counts";
    private static final int PARTITIONS = 2;
    private static final long WITHIN_MS = 40_000;

    private final ObjectMapper json = new ObjectMapper();
    private final Path folder;
    private final String name;
    private final String servers;
    private final AtomicInteger processed = new AtomicInteger();
    private final AtomicBoolean failing = new AtomicBoolean();
    private final TreeMap<String, List<Long>> counts = new TreeMap<>();

    private StreamsProgram(Path folder, String name, String servers) {
        this.folder = folder;
        this.name = name;
        this.servers = servers;
    }

    public static void main(String[] args) throws Exception {
        new StreamsProgram(Path.of(args[0]), args[1], args[2]).run();
    }

    /** One instance of the application, and what it reported about its store. */
    private final class Instance {
        final ConcurrentLinkedQueue<String> events = new ConcurrentLinkedQueue<>();
        final Set<TopicPartition> promoted = ConcurrentHashMap.newKeySet();
        final AtomicInteger restored = new AtomicInteger();
        final AtomicInteger restoredLater = new AtomicInteger();
        final KafkaStreams streams;

        Instance(String directory) {
            streams = new KafkaStreams(topology(), settings(directory));
            streams.setUncaughtExceptionHandler(failure -> {
                events.add("thread replaced");
                return StreamThreadExceptionResponse.REPLACE_THREAD;
            });
            streams.setGlobalStateRestoreListener(new StateRestoreListener() {
                @Override
                public void onRestoreStart(TopicPartition place, String store, long start, long end) { }

                @Override
                public void onBatchRestored(TopicPartition place, String store, long end, long count) { }

                @Override
                public void onRestoreEnd(TopicPartition place, String store, long total) {
                    (promoted.contains(place) ? restoredLater : restored).addAndGet((int) total);
                }
            });
            streams.setStandbyUpdateListener(new StandbyUpdateListener() {
                @Override
                public void onUpdateStart(TopicPartition place, String store, long start) { }

                @Override
                public void onBatchLoaded(TopicPartition place, String store, TaskId task, long end, long size, long last) { }

                @Override
                public void onUpdateSuspended(TopicPartition place, String store, long at, long last, SuspendReason why) {
                    events.add(why.name().toLowerCase());
                    if (why == SuspendReason.PROMOTED) {
                        promoted.add(place);
                    }
                }
            });
            streams.start();
        }

        /** Whether it runs, and its standby replica is complete but for a last transaction marker. */
        boolean hasStandby() {
            Map<Integer, LagInfo> lags = streams.allLocalStorePartitionLags().getOrDefault(STORE, Map.of());
            return streams.state() == KafkaStreams.State.RUNNING
                && !lags.isEmpty() && lags.values().stream().allMatch(lag -> lag.offsetLag() <= 1);
        }

        Map<String, Long> stored() {
            Map<String, Long> found = new TreeMap<>();
            try (var all = streams.store(StoreQueryParameters.fromNameAndType(
                    STORE, QueryableStoreTypes.<String, Long>keyValueStore())).all()) {
                all.forEachRemaining(one -> found.put(one.key, one.value));
            }
            return found;
        }

        void stop() {
            streams.close(CloseOptions.timeout(Duration.ofSeconds(20))
                .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        }
    }

    private Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> lines = builder.stream(name + "-lines");
        KStream<String, Long> counted = lines
            .groupBy((key, word) -> word)
            .count(Materialized.as(STORE))
            .toStream();
        counted.to(name + "-counts", org.apache.kafka.streams.kstream.Produced.with(Serdes.String(), Serdes.Long()));
        // After the count and its output were produced: they are part of a transaction that is aborted.
        counted.foreach((word, count) -> {
            processed.incrementAndGet();
            if (count > 22 && failing.compareAndSet(true, false)) {
                throw new IllegalStateException("fails once");
            }
        });
        return builder.build();
    }

    private Properties settings(String directory) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", servers);
        settings.put("application.id", name);
        settings.put("state.dir", folder.resolve(directory).toString());
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("num.standby.replicas", 1);
        settings.put("replication.factor", 1);
        settings.put("statestore.cache.max.bytes", 0);
        settings.put("commit.interval.ms", 100);
        settings.put("poll.ms", 50);
        settings.put("default.key.serde", Serdes.StringSerde.class);
        settings.put("default.value.serde", Serdes.StringSerde.class);
        settings.put("session.timeout.ms", 2000);
        settings.put("heartbeat.interval.ms", 500);
        settings.put("auto.offset.reset", "earliest");
        settings.put("metadata.max.age.ms", 2000);
        return settings;
    }

    private void run() throws Exception {
        Map<String, Object> common = Map.of("bootstrap.servers", servers);
        try (Admin admin = Admin.create(common)) {
            admin.createTopics(List.of(
                new NewTopic(name + "-lines", Optional.of(PARTITIONS), Optional.empty()),
                new NewTopic(name + "-counts", Optional.of(PARTITIONS), Optional.empty()))).all().get();
        }
        Map<String, Object> reading = new HashMap<>(common);
        reading.putAll(Map.of("isolation.level", "read_committed", "auto.offset.reset", "earliest"));
        try (KafkaProducer<String, String> producer =
                     new KafkaProducer<>(common, new StringSerializer(), new StringSerializer());
             KafkaConsumer<String, Long> consumer =
                     new KafkaConsumer<>(reading, new StringDeserializer(), new LongDeserializer())) {
            consumer.assign(List.of(new TopicPartition(name + "-counts", 0), new TopicPartition(name + "-counts", 1)));
            Instance first = new Instance("first");
            count(producer, consumer, 20);
            report("first", first);

            failing.set(true);
            count(producer, consumer, 40);
            report("failed", first);

            Instance second = new Instance("second");
            until("the second instance has a standby replica", second::hasStandby);
            first.stop();
            count(producer, consumer, 60);
            report("taken over", second);
            second.stop();

            Instance third = new Instance("third");
            count(producer, consumer, 80);
            report("restored", third);
            third.stop();
        }
        Runtime.getRuntime().halt(0);
    }

    /** Produce words until each was produced so many times, and read the counts until each has arrived. */
    private void count(KafkaProducer<String, String> producer, KafkaConsumer<String, Long> consumer, int total) {
        for (int number = 0; number < 20; number++) {
            for (String word : List.of("ant", "bee", "cat", "dog", "eel")) {
                producer.send(new ProducerRecord<>(name + "-lines", "" + number, word));
            }
        }
        producer.flush();
        until("the counts reach " + total + "; they are " + counts, () -> {
            for (ConsumerRecord<String, Long> one : consumer.poll(Duration.ofMillis(100))) {
                counts.computeIfAbsent(one.key(), word -> new ArrayList<>()).add(one.value());
            }
            return counts.size() == 5 && counts.values().stream().allMatch(some -> some.contains((long) total));
        });
    }

    private void report(String step, Instance instance) throws Exception {
        System.out.println(json.writeValueAsString(Map.of(
            "step", step, "events", List.copyOf(instance.events), "restored", instance.restored.get(),
            "restored after promotion", instance.restoredLater.get(), "stored", instance.stored(), "counts", counts, "processed", processed.get())));
        System.out.flush();
    }

    private static void until(String what, BooleanSupplier holds) {
        long end = System.nanoTime() + WITHIN_MS * 1_000_000;
        while (!holds.getAsBoolean()) {
            if (System.nanoTime() > end) {
                System.err.println("not within " + WITHIN_MS + " ms: " + what);
                Runtime.getRuntime().halt(1);
            }
            try {
                Thread.sleep(20);
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
        }
    }
}
