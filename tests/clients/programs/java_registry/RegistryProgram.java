import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.net.URL;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.RestService;
import org.apache.flink.avro.shaded.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumReader;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumWriter;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.io.DecoderFactory;
import org.apache.flink.avro.shaded.org.apache.avro.io.EncoderFactory;

/**
 * Writes an event of each format with schemas that it registers through Confluent's Java client, which Apache Flink
 * ships, and reads the events of other clients: prints its events as one line of JSON, reads a line with the events of
 * all clients, and prints their values.
 */
public class RegistryProgram {
    static final String AVRO = "{\"type\":\"record\",\"name\":\"User\",\"namespace\":\"java\",\"fields\":"
        + "[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"name\",\"type\":\"string\"}]}";
    static final String JSON = "{\"title\":\"User\",\"type\":\"object\",\"properties\":"
        + "{\"id\":{\"type\":\"integer\"},\"name\":{\"type\":\"string\"}}}";
    static final String PROTOBUF = "syntax = \"proto3\";\npackage java;\n\nmessage User {\n  int32 id = 1;\n  string name = 2;\n}\n";
    static final ObjectMapper MAPPER = new ObjectMapper();
    static String url;
    static RestService rest;
    static CachedSchemaRegistryClient client;

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        rest = new RestService(url);
        client = new CachedSchemaRegistryClient(rest, 100);
        System.out.println(MAPPER.writeValueAsString(List.of(writeAvro(), writeJson(), writeProtobuf())));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        List<Map<String, Object>> values = new ArrayList<>();
        for (Object event : MAPPER.readValue(input.readLine(), List.class)) {
            values.add(read(HexFormat.of().parseHex((String) event)));
        }
        System.out.println(MAPPER.writeValueAsString(values));
    }

    static String framed(int id, byte[] payload) {
        ByteBuffer frame = ByteBuffer.allocate(5 + payload.length).put((byte) 0).putInt(id).put(payload);
        return HexFormat.of().formatHex(frame.array());
    }

    static String writeAvro() throws Exception {
        int id = client.register("java-avro", new AvroSchema(AVRO));
        if (client.getVersion("java-avro", new AvroSchema(AVRO)) != 1 || !client.testCompatibility("java-avro", new AvroSchema(AVRO))) {
            throw new IllegalStateException("the schema that was registered is not found");
        }
        Schema schema = new Schema.Parser().parse(AVRO);
        GenericRecord user = new GenericData.Record(schema);
        user.put("id", 4);
        user.put("name", "java");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        var encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(schema).write(user, encoder);
        encoder.flush();
        return framed(id, out.toByteArray());
    }

    static String writeJson() throws Exception {
        int id = rest.registerSchema(JSON, "JSON", List.of(), "java-json").getId();
        return framed(id, MAPPER.writeValueAsBytes(Map.of("id", 4, "name", "java")));
    }

    static String writeProtobuf() throws Exception {
        int id = rest.registerSchema(PROTOBUF, "PROTOBUF", List.of(), "java-protobuf").getId();
        Descriptor type = descriptor(id);
        DynamicMessage user = DynamicMessage.newBuilder(type)
            .setField(type.findFieldByName("id"), 4).setField(type.findFieldByName("name"), "java").build();
        byte[] message = user.toByteArray();
        byte[] payload = new byte[message.length + 1];
        System.arraycopy(message, 0, payload, 1, message.length);
        return framed(id, payload);
    }

    static Descriptor descriptor(int id) throws Exception {
        // This client does not know the parameter `format`.
        URL address = new URL(url + "/schemas/ids/" + id + "?format=serialized");
        String text = MAPPER.readTree(address.openStream().readAllBytes()).get("schema").asText();
        FileDescriptorProto file = FileDescriptorProto.parseFrom(Base64.getDecoder().decode(text));
        return FileDescriptor.buildFrom(file, new FileDescriptor[0]).getMessageTypes().get(0);
    }

    static Map<String, Object> read(byte[] event) throws Exception {
        int id = ByteBuffer.wrap(event, 1, 4).getInt();
        byte[] payload = Arrays.copyOfRange(event, 5, event.length);
        Map<String, Object> value = new LinkedHashMap<>();
        String kind = rest.getId(id).getSchemaType();
        if (kind == null || kind.equals("AVRO")) {
            Schema schema = ((AvroSchema) client.getSchemaById(id)).rawSchema();
            GenericRecord user = new GenericDatumReader<GenericRecord>(schema).read(null, DecoderFactory.get().binaryDecoder(payload, null));
            value.put("id", user.get("id"));
            value.put("name", user.get("name").toString());
        } else if (kind.equals("JSON")) {
            MAPPER.readTree(payload).fields().forEachRemaining(field -> value.put(field.getKey(), field.getValue()));
        } else {
            int start = payload[0] == 0 ? 1 : 1 + payload[0] / 2;
            Descriptor type = descriptor(id);
            DynamicMessage user = DynamicMessage.parseFrom(type, Arrays.copyOfRange(payload, start, payload.length));
            value.put("id", user.getField(type.findFieldByName("id")));
            value.put("name", user.getField(type.findFieldByName("name")));
        }
        return value;
    }
}
