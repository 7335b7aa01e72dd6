// Prints every public setting that Apache Kafka's own classes define: one per line, fields separated by tabs.
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public final class SettingsProgram {
    public static void main(String[] arguments) {
        print("broker", AbstractKafkaConfig.CONFIG_DEF.configKeys(), DynamicBrokerConfig.dynamicConfigUpdateModes());
        print("topic", LogConfig.configKeys(), Map.of());
        print("group", GroupConfig.CONFIG_DEF.configKeys(), Map.of());
        print("client-metrics", ClientMetricsConfigs.configDef().configKeys(), Map.of());
    }

    private static void print(String kind, Map<String, ConfigDef.ConfigKey> keys, Map<String, String> modes) {
        for (ConfigDef.ConfigKey key : new TreeMap<>(keys).values()) {
            if (key.internalConfig) {
                continue;
            }
            boolean none = !key.hasDefault() || key.defaultValue == null;
            System.out.println(String.join("\t",
                kind,
                key.name,
                key.type.toString().toLowerCase(),
                none ? "none" : "=" + ConfigDef.convertToString(key.defaultValue, key.type),
                key.validator == null ? "" : key.validator.toString(),
                modes.getOrDefault(key.name, "read-only"),
                key.documentation == null || key.documentation.isBlank() ? "undocumented" : "documented"));
        }
    }
}
