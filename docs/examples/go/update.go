// Sends one command, waits for its result, prints it. See ../README.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	servers  = environment("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
	commands = environment("COMMANDS_TOPIC", "byunique.commands")
	results  = environment("RESULTS_TOPIC", "byunique.results")
	schemas  = environment("SCHEMAS", "schemas") // a service of your own embeds copies of the two files
)

const wait = 60 * time.Second

// UpdateByUnique is the command. A value of Attributes is nil, a bool, an int32 or int64, a float64 or a string.
type UpdateByUnique struct {
	CommandID  string                 `avro:"command_id"`
	CustomerID string                 `avro:"customer_id"`
	ExtName    string                 `avro:"ext_name"`
	Attributes map[string]interface{} `avro:"attributes"`
	BatchID    *string                `avro:"batch_id"`
	IssuedAt   *time.Time             `avro:"issued_at"`
}

// UpdateResult is what is of interest here of the answer; the fields that are left out are skipped.
type UpdateResult struct {
	Status    int      `avro:"status"`
	CommandID *string  `avro:"command_id"`
	Problem   *Problem `avro:"error"`
	Duplicate bool     `avro:"duplicate"`
}

// Problem says what was wrong with a command.
type Problem struct {
	Code   string `avro:"code"`
	Detail string `avro:"detail"`
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// message is a record's schema with what stands before the record in Avro's single-object encoding: C3 01 and the schema's
// CRC-64-AVRO fingerprint, lowest byte first, by which the reader knows what the record was written with.
type message struct {
	schema avro.Schema
	marker []byte
}

// withoutLogicalTypes removes them from a schema's JSON.
func withoutLogicalTypes(node interface{}) {
	switch node := node.(type) {
	case map[string]interface{}:
		delete(node, "logicalType")
		for _, each := range node {
			withoutLogicalTypes(each)
		}
	case []interface{}:
		for _, each := range node {
			withoutLogicalTypes(each)
		}
	}
}

// fingerprintOf is the schema's CRC-64-AVRO, highest byte first. Its canonical form has no logical types by Avro's
// specification, but hamba/avro leaves them in it: its fingerprint of the schema as it is would be nobody else's.
func fingerprintOf(text []byte) ([]byte, error) {
	var node interface{}
	if err := json.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	withoutLogicalTypes(node)
	plain, err := json.Marshal(node)
	if err != nil {
		return nil, err
	}
	schema, err := avro.Parse(string(plain))
	if err != nil {
		return nil, err
	}
	return schema.FingerprintUsing(avro.CRC64Avro)
}

func load(name string) (message, error) {
	text, err := os.ReadFile(filepath.Join(schemas, name))
	if err != nil {
		return message{}, err
	}
	schema, err := avro.Parse(string(text))
	if err != nil {
		return message{}, fmt.Errorf("%s: %w", name, err)
	}
	fingerprint, err := fingerprintOf(text)
	if err != nil {
		return message{}, fmt.Errorf("%s: %w", name, err)
	}
	marker := []byte{0xC3, 0x01}
	for i := len(fingerprint) - 1; i >= 0; i-- {
		marker = append(marker, fingerprint[i])
	}
	return message{schema, marker}, nil
}

func (m message) encode(record interface{}) ([]byte, error) {
	body, err := avro.Marshal(m.schema, record)
	return append(append([]byte{}, m.marker...), body...), err
}

func (m message) decode(value []byte, record interface{}) error {
	if !bytes.HasPrefix(value, m.marker) {
		return errors.New("a result in another framing, or of another schema: is a registry in use?")
	}
	return avro.Unmarshal(m.schema, value[len(m.marker):], record)
}

// readFromNow makes the client read all of the results topic, from its present end. It belongs to no group, as nobody else
// is to take this result away. The ends are asked for before the command is sent: its result can only come behind them.
func readFromNow(ctx context.Context, client *kgo.Client) error {
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, results)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", results, err)
	}
	client.AddConsumePartitions(ends.Offsets().KOffsets())
	return nil
}

func send(ctx context.Context, client *kgo.Client, command UpdateByUnique, form message) error {
	value, err := form.encode(command)
	if err != nil {
		return err
	}
	// One customer's commands have one key, so one partition: they take effect in the order in which they are sent.
	record := &kgo.Record{Topic: commands, Key: []byte(command.CustomerID), Value: value}
	return client.ProduceSync(ctx, record).FirstErr() // returns once Kafka has the message
}

// await returns the result of the command, or the context's error.
func await(ctx context.Context, client *kgo.Client, commandID string, form message) (*UpdateResult, error) {
	for {
		fetches := client.PollFetches(ctx)
		if failed := fetches.Errors(); len(failed) > 0 { // what can be tried again, the client tries again
			return nil, fmt.Errorf("reading %s: %w", results, failed[0].Err)
		}
		for _, record := range fetches.Records() {
			var result UpdateResult
			if err := form.decode(record.Value, &result); err != nil {
				return nil, err
			}
			if result.CommandID != nil && strings.EqualFold(*result.CommandID, commandID) {
				return &result, nil
			}
		}
	}
}

func update(command UpdateByUnique) (*UpdateResult, error) {
	commandForm, err := load("UpdateByUnique.avsc")
	if err != nil {
		return nil, err
	}
	resultForm, err := load("UpdateResult.avsc")
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(servers),
		kgo.RecordDeliveryTimeout(30*time.Second), // until then the client tries again, without doubling a message
		// Not the default, and needed: of a transaction that was aborted nothing is true. With it the results of one are
		// never seen, and each result once.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := readFromNow(ctx, client); err != nil {
		return nil, err
	}
	if err := send(ctx, client, command, commandForm); err != nil {
		return nil, err
	}
	return await(ctx, client, command.CommandID, resultForm)
}

// run prints the answer and returns the exit code. 0: done, 1: no answer, 2: wrong usage, 3: answered with an error.
func run(arguments []string) int {
	if len(arguments) != 3 && len(arguments) != 4 {
		fmt.Fprintln(os.Stderr, "usage: update CUSTOMER PHONE_NUMBER DESCRIPTION [COMMAND_ID]")
		return 2
	}
	// The id makes it safe to send a command again when nobody knows what became of it: the same id with the same content
	// takes effect once. So it is made before the first attempt, and kept until there is an answer.
	commandID := uuid.NewString()
	if len(arguments) == 4 {
		commandID = arguments[3]
	}
	now := time.Now()
	command := UpdateByUnique{
		CommandID:  commandID,
		CustomerID: arguments[0],
		ExtName:    "Phone",
		// PhoneNumber finds the record. What is not named here keeps its value; nil would clear it.
		Attributes: map[string]interface{}{"PhoneNumber": arguments[1], "description": arguments[2]},
		IssuedAt:   &now,
	}
	result, err := update(command)
	if err != nil {
		fmt.Fprintf(os.Stderr, "command %s: %v\n", commandID, err)
		fmt.Fprintf(os.Stderr, "command %s has no answer yet; it is safe to run this again with that id\n", commandID)
		return 1
	}
	if result.Problem != nil {
		fmt.Printf("%d %s: %s\n", result.Status, result.Problem.Code, result.Problem.Detail)
		return 3
	}
	duplicate := ""
	if result.Duplicate {
		duplicate = " duplicate"
	}
	fmt.Printf("%d%s\n", result.Status, duplicate)
	return 0
}

func main() {
	os.Exit(run(os.Args[1:]))
}
