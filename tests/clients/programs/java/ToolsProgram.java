import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.common.utils.internals.Exit;

/**
 * Runs Kafka's command-line tools one after the other in one process, because each start of a JVM takes a second.
 *
 * A line of the input is {"tool": class, "arguments": [...], "input": text, "within_ms": N}; the answer is
 * {"code", "output"}, where the output is standard output and standard error together. The code is 124 if the tool
 * did not end in time. It needs --add-opens java.base/java.lang=ALL-UNNAMED, to run the shutdown hooks of a tool.
 */
public class ToolsProgram {
    /** Thrown in place of ending the process. */
    private static final class Ended extends Error {
        Ended() {
            super("ended", null, false, false);
        }
    }

    /** The output and exit code of one call. */
    private static final class Call {
        final ByteArrayOutputStream output = new ByteArrayOutputStream();
        final List<Runnable> hooks = new CopyOnWriteArrayList<>();
        Integer code;
        boolean silent;

        synchronized void write(byte[] bytes, int start, int length) {
            if (!silent) {
                output.write(bytes, start, length);
            }
        }

        /** As at the end of a process: nothing more is printed, but by the shutdown hooks. */

        synchronized void end(int status, String message) {
            if (code == null) {
                code = status;
                silent = true;
                if (message != null) {
                    output.writeBytes((message + "\n").getBytes(StandardCharsets.UTF_8));
                }
            }
        }

        void runHooks() throws ReflectiveOperationException {
            synchronized (this) {
                silent = false;
            }
            hooks.forEach(Runnable::run);
            Field field = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
            field.setAccessible(true);
            for (Object hook : List.copyOf(((Map<?, ?>) field.get(null)).keySet())) {
                Runtime.getRuntime().removeShutdownHook((Thread) hook);
                ((Thread) hook).run();
            }
        }

        synchronized Map<String, Object> answer(int otherwise) {
            return Map.of("code", code == null ? otherwise : code, "output", output.toString(StandardCharsets.UTF_8));
        }
    }

    private static volatile Call current = new Call();

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        // Set once: Scala's console keeps the stream that it finds first.
        PrintStream stream = new PrintStream(new OutputStream() {
            @Override
            public void write(int one) {
                write(new byte[] {(byte) one}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int start, int length) {
                current.write(bytes, start, length);
            }
        }, true, StandardCharsets.UTF_8);
        System.setOut(stream);
        System.setErr(stream);
        Exit.Procedure exit = (status, message) -> {
            current.end(status, message);
            throw new Ended();
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        Exit.setShutdownHookAdder((name, hook) -> current.hooks.add(hook));
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        answers.println("{\"ready\": true}");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answers.println(json.writeValueAsString(run(json.readTree(line))));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static Map<String, Object> run(JsonNode asked) throws InterruptedException {
        List<String> arguments = new ArrayList<>();
        asked.get("arguments").forEach(one -> arguments.add(one.asText()));
        Call call = new Call();
        current = call;
        System.setIn(new ByteArrayInputStream(asked.get("input").asText().getBytes(StandardCharsets.UTF_8)));
        Thread thread = new Thread(() -> {
            try {
                Class.forName(asked.get("tool").asText()).getMethod("main", String[].class)
                    .invoke(null, (Object) arguments.toArray(new String[0]));
            } catch (java.lang.reflect.InvocationTargetException failed) {
                if (!(failed.getCause() instanceof Ended)) {
                    failed.getCause().printStackTrace();
                    call.end(1, null);
                }
            } catch (ReflectiveOperationException failed) {
                call.end(127, String.valueOf(failed));
            }
            try {
                call.runHooks();
            } catch (ReflectiveOperationException failed) {
                call.end(127, String.valueOf(failed));
            }
        });
        thread.setDaemon(true);
        thread.start();
        thread.join(asked.get("within_ms").asLong());
        return call.answer(thread.isAlive() ? 124 : 0);
    }
}
