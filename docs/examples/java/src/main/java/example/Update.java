package example;

import byunique.UpdateByUnique;
import byunique.UpdateResult;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import org.apache.avro.AvroRuntimeException;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteBufferSerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends one command, waits for its result, prints it. See ../README.md. */
public final class Update {
    private static final String SERVERS = environment("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
    private static final String COMMANDS = environment("COMMANDS_TOPIC", "byunique.commands");
    private static final String RESULTS = environment("RESULTS_TOPIC", "byunique.results");
    private static final Duration WAIT = Duration.ofSeconds(60);

    private Update() {}

    private static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    /**
     * A consumer of all of the results topic, from its present end. It belongs to no group, as nobody else is to take this
     * result away. The ends are asked for before the command is sent: its result can only come behind them.
     */
    private static KafkaConsumer<String, byte[]> readFromNow() {
        Properties config = new Properties();
        config.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, SERVERS);
        config.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        config.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        // Not Java's default, and needed: of a transaction that was aborted nothing is true. With it the results of one
        // are never seen, and each result once.
        config.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer());
        try {
            List<TopicPartition> partitions = consumer.partitionsFor(RESULTS).stream()
                    .map(each -> new TopicPartition(RESULTS, each.partition())).toList();
            if (partitions.isEmpty()) {
                throw new KafkaException("there is no topic " + RESULTS);
            }
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            partitions.forEach(consumer::position); // seekToEnd does nothing until somebody asks
            return consumer;
        } catch (KafkaException e) {
            consumer.close();
            throw e;
        }
    }

    /** Returns once Kafka has the message. */
    private static void send(UpdateByUnique command) throws IOException, ExecutionException, InterruptedException {
        Properties config = new Properties();
        config.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, SERVERS);
        // The client's own retries neither double a message nor change the order.
        config.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        config.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 30000);
        config.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 10000);
        try (KafkaProducer<String, ByteBuffer> producer =
                new KafkaProducer<>(config, new StringSerializer(), new ByteBufferSerializer())) {
            // Avro's single-object encoding: C3 01, then the schema's CRC-64-AVRO fingerprint, by which the worker knows
            // what the record was written with, then the record.
            ByteBuffer value = command.toByteBuffer();
            // One customer's commands have one key, so one partition: they take effect in the order of sending.
            producer.send(new ProducerRecord<>(COMMANDS, command.getCustomerId(), value)).get(); // throws what went wrong
        }
    }

    /** The result of the command, or null when there was none in time. */
    private static UpdateResult await(KafkaConsumer<String, byte[]> consumer, UUID commandId) throws IOException {
        Instant deadline = Instant.now().plus(WAIT);
        while (Instant.now().isBefore(deadline)) {
            for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                UpdateResult result = UpdateResult.fromByteBuffer(ByteBuffer.wrap(record.value()));
                if (commandId.toString().equalsIgnoreCase(result.getCommandId())) {
                    return result;
                }
            }
        }
        return null;
    }

    private static UpdateResult update(UpdateByUnique command)
            throws IOException, ExecutionException, InterruptedException {
        try (KafkaConsumer<String, byte[]> consumer = readFromNow()) {
            send(command);
            return await(consumer, command.getCommandId());
        }
    }

    private static int print(UpdateResult result) {
        if (result.getError() == null) {
            System.out.println(result.getStatus() + (result.getDuplicate() ? " duplicate" : ""));
            return 0;
        }
        System.out.println(result.getStatus() + " " + result.getError().getCode() + ": " + result.getError().getDetail());
        return 3;
    }

    /** Prints the answer. 0: done, 1: no answer, 3: answered with an error. */
    private static int run(UUID commandId, String customer, String number, String description) {
        UpdateByUnique command = UpdateByUnique.newBuilder()
                .setCommandId(commandId)
                .setCustomerId(customer)
                .setExtName("Phone")
                // PhoneNumber finds the record. What is not named here keeps its value; null would clear it.
                .setAttributes(Map.of("PhoneNumber", number, "description", description))
                .setIssuedAt(Instant.now())
                .build();
        try {
            UpdateResult result = update(command);
            if (result != null) {
                return print(result);
            }
        } catch (ExecutionException e) {
            System.err.println("command " + commandId + ": " + e.getCause());
        } catch (IOException | KafkaException | AvroRuntimeException e) {
            System.err.println("command " + commandId + ": " + e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        System.err.println("command " + commandId + " has no answer yet; it is safe to run this again with that id");
        return 1;
    }

    public static void main(String[] arguments) {
        if (arguments.length != 3 && arguments.length != 4) {
            System.err.println("usage: update CUSTOMER PHONE_NUMBER DESCRIPTION [COMMAND_ID]");
            System.exit(2);
        }
        // The id makes it safe to send a command again when nobody knows what became of it: the same id with the same
        // content takes effect once. So it is made before the first attempt, and kept until there is an answer.
        UUID commandId = UUID.randomUUID();
        try {
            commandId = arguments.length == 4 ? UUID.fromString(arguments[3]) : commandId;
        } catch (IllegalArgumentException e) {
            System.err.println("not a UUID: " + arguments[3]);
            System.exit(2);
        }
        System.exit(run(commandId, arguments[0], arguments[1], arguments[2]));
    }
}
