package orders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.kafka.core.KafkaTemplate;

/** JUnit with Spring Boot: sandbox run --topics orders:3 -- mvn test */
@SpringBootTest
class OrdersTest {
    private static final String ORDER = "{\"id\":1}";

    @Autowired private KafkaTemplate<String, String> kafka;
    @Autowired private Orders orders;

    @Test
    void anOrderIsBilledOnce() throws Exception {
        kafka.send("orders", "user-42", ORDER).get();
        await().atMost(Duration.ofSeconds(20)).untilAsserted(() -> assertThat(orders.billed()).containsExactly(ORDER));
    }
}
