package billing;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.util.backoff.FixedBackOff;

/** Spring Boot: a listener answers orders with bills in transactions, and an order that fails becomes a dead letter. */
@SpringBootApplication
public class Program {
    private static final int ORDERS = 20;
    private final List<Integer> bills = new CopyOnWriteArrayList<>();
    private final List<String> deadLetters = new CopyOnWriteArrayList<>();

    public static void main(String[] args) throws Exception {
        var application = new SpringApplication(Program.class);
        try (var context = application.run(
                "--spring.main.banner-mode=off",
                "--logging.level.root=warn",
                "--spring.kafka.consumer.auto-offset-reset=earliest",
                "--spring.kafka.consumer.isolation-level=read_committed",
                "--spring.kafka.producer.transaction-id-prefix=billing-")) {
            KafkaTemplate<String, String> kafka = context.getBean(KafkaTemplate.class);
            kafka.executeInTransaction(operations -> {
                IntStream.range(0, ORDERS).forEach(n -> operations.send("orders", "user-" + n % 3, "" + n));
                return operations.send("orders", "user-0", "not a number");
            });
            context.getBean(Program.class).check();
        }
        System.out.println("Spring Boot " + SpringBootVersion.getVersion() + " ok");
    }

    @KafkaListener(topics = "orders", groupId = "billing")
    @SendTo("bills")
    String bill(ConsumerRecord<String, String> order) {
        return "" + Integer.parseInt(order.value()) * 2;
    }

    @KafkaListener(topics = "bills", groupId = "ledger")
    void collect(ConsumerRecord<String, String> bill) {
        bills.add(Integer.parseInt(bill.value()));
    }

    @KafkaListener(topics = "orders-dlt", groupId = "dead-letters")
    void dead(ConsumerRecord<String, String> order) {
        deadLetters.add(order.value());
    }

    @Bean
    DefaultErrorHandler errors(KafkaTemplate<String, String> kafka) {
        return new DefaultErrorHandler(new DeadLetterPublishingRecoverer(kafka), new FixedBackOff(100, 1));
    }

    private void check() throws InterruptedException {
        Instant deadline = Instant.now().plus(Duration.ofSeconds(60));
        while (bills.size() < ORDERS || deadLetters.isEmpty()) {
            if (Instant.now().isAfter(deadline)) {
                throw new IllegalStateException("bills: " + bills + ", dead letters: " + deadLetters);
            }
            Thread.sleep(50);
        }
        List<Integer> expected = IntStream.range(0, ORDERS).map(n -> n * 2).boxed().toList();
        if (!bills.stream().sorted().toList().equals(expected) || !deadLetters.equals(List.of("not a number"))) {
            throw new IllegalStateException("bills: " + bills + ", dead letters: " + deadLetters);
        }
    }
}
