import static org.apache.spark.sql.functions.col;

import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.Trigger;
import org.apache.spark.sql.types.StructType;

/** Spark: a batch writes orders, a structured stream bills them and keeps its offsets in a checkpoint, a batch reads all. */
public class Program {
    private static final int ORDERS = 20;
    private static final String SERVERS = System.getenv("KAFKA_BOOTSTRAP_SERVERS");

    public static void main(String[] args) throws Exception {
        SparkSession spark = SparkSession.builder().master("local[2]").appName("billing")
            .config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "2")
            .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate();
        String checkpoint = Files.createTempDirectory("checkpoint").toString();
        // Twice: the second run continues at the offsets of the checkpoint.
        for (int part = 0; part < 2; part++) {
            order(spark, part * ORDERS / 2, (part + 1) * ORDERS / 2);
            bill(spark, checkpoint);
        }
        List<Integer> found = spark.read().format("kafka").options(kafka("subscribe", "bills")).load()
            .selectExpr("cast(value as string)").as(Encoders.STRING()).collectAsList()
            .stream().map(Integer::valueOf).sorted().toList();
        if (!found.equals(IntStream.range(0, ORDERS).map(n -> n * 2).boxed().toList())) {
            throw new IllegalStateException("bills: " + found);
        }
        String version = spark.version();
        spark.stop();
        System.out.println("Spark " + version + " ok");
    }

    private static void order(SparkSession spark, int first, int end) {
        var rows = IntStream.range(first, end).mapToObj(n -> RowFactory.create("user-" + n % 3, "" + n)).toList();
        spark.createDataFrame(rows, new StructType().add("key", "string").add("value", "string"))
            .write().format("kafka").options(kafka("topic", "orders")).save();
    }

    private static void bill(SparkSession spark, String checkpoint) throws Exception {
        spark.readStream().format("kafka").options(kafka("subscribe", "orders"))
            .option("startingOffsets", "earliest").load()
            .select(col("key"), col("value").cast("string").cast("int").multiply(2).cast("string").as("value"))
            .writeStream().format("kafka").options(kafka("topic", "bills"))
            .option("checkpointLocation", checkpoint).trigger(Trigger.AvailableNow()).start().awaitTermination();
    }

    private static Map<String, String> kafka(String name, String value) {
        return Map.of("kafka.bootstrap.servers", SERVERS, name, value);
    }
}
