import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.connect.cli.ConnectDistributed;
import org.apache.kafka.connect.cli.ConnectStandalone;

/** Kafka Connect: the FileStream source writes the lines of a file to a topic, and the sink writes them to a file. */
public class Program {
    private static final String SOURCE = "FileStreamSource", SINK = "FileStreamSink";
    private static final Instant DEADLINE = Instant.now().plus(Duration.ofSeconds(100));

    public static void main(String[] args) {
        try {
            run(args[0]);
            System.out.println("Kafka Connect " + AppInfoParser.getVersion() + " ok");
            System.exit(0);
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1); // The worker's threads would keep the process.
        }
    }

    private static void run(String mode) throws Exception {
        Path folder = Files.createTempDirectory("connect");
        Path input = folder.resolve("orders.txt"), output = folder.resolve("bills.txt");
        List<String> orders = IntStream.range(0, 20).mapToObj(n -> "order " + n).toList();
        Files.write(input, orders);
        String url = "http://127.0.0.1:" + freePort();
        String worker = """
            bootstrap.servers=%s
            listeners=%s
            key.converter=org.apache.kafka.connect.storage.StringConverter
            value.converter=org.apache.kafka.connect.storage.StringConverter
            plugin.discovery=service_load
            offset.flush.interval.ms=500
            """.formatted(System.getenv("KAFKA_BOOTSTRAP_SERVERS"), url);
        if (mode.equals("standalone")) {
            Path settings = Files.writeString(folder.resolve("worker.properties"),
                worker + "offset.storage.file.filename=" + folder.resolve("offsets"));
            Path source = Files.writeString(folder.resolve("source.properties"),
                "name=source\nconnector.class=%s\ntopic=orders\nfile=%s\n".formatted(SOURCE, input));
            Path sink = Files.writeString(folder.resolve("sink.properties"),
                "name=sink\nconnector.class=%s\ntopics=orders\nfile=%s\n".formatted(SINK, output));
            start(() -> ConnectStandalone.main(new String[] {"" + settings, "" + source, "" + sink}));
        } else {
            // Connectors, offsets and statuses are in compacted topics, and source tasks use transactions.
            Path settings = Files.writeString(folder.resolve("worker.properties"), worker + """
                group.id=connect
                exactly.once.source.support=enabled
                config.storage.topic=connect-configs
                config.storage.replication.factor=1
                offset.storage.topic=connect-offsets
                offset.storage.replication.factor=1
                status.storage.topic=connect-status
                status.storage.replication.factor=1
                """);
            start(() -> ConnectDistributed.main(new String[] {"" + settings}));
            String connector = "{\"connector.class\": \"%s\", \"%s\": \"orders\", \"file\": \"%s\"}";
            create(url, "source", connector.formatted(SOURCE, "topic", input));
            create(url, "sink", connector.formatted(SINK, "topics", output));
        }
        while (!Files.exists(output) || Files.readAllLines(output).size() < orders.size()) {
            await(output + " has not all orders");
        }
        List<String> found = Files.readAllLines(output).stream().sorted().toList();
        if (!found.equals(orders.stream().sorted().toList())) {
            throw new IllegalStateException("the sink wrote " + found);
        }
    }

    private static void start(Runnable worker) {
        Thread thread = new Thread(worker, "worker");
        thread.setDaemon(true);
        thread.start();
    }

    private static void create(String url, String name, String settings) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/connectors/" + name + "/config"))
            .header("Content-Type", "application/json")
            .PUT(HttpRequest.BodyPublishers.ofString(settings)).build();
        String answer = "";
        while (true) {
            try {
                var response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
                if (response.statusCode() < 300) {
                    return;
                }
                answer = response.body();
            } catch (java.io.IOException error) {
                answer = "" + error;
            }
            await("the connector was not created: " + answer);
        }
    }

    private static void await(String what) throws InterruptedException {
        if (Instant.now().isAfter(DEADLINE)) {
            throw new IllegalStateException(what);
        }
        Thread.sleep(200);
    }

    private static int freePort() throws Exception {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }
}
