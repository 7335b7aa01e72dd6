package orders;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.messaging.handler.annotation.Payload;

/** Bills each order once. Spring Boot reads the address from SPRING_KAFKA_BOOTSTRAP_SERVERS, which `sandbox run` sets. */
@SpringBootApplication
public class Orders {
    private final List<String> billed = new CopyOnWriteArrayList<>();

    public static void main(String[] args) {
        SpringApplication.run(Orders.class, args);
    }

    @KafkaListener(topics = "orders", groupId = "billing")
    void bill(@Payload String order) {
        billed.add(order);
    }

    List<String> billed() {
        return List.copyOf(billed);
    }
}
