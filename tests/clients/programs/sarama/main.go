// The client program of sarama.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

type header struct {
	name  string
	value []byte
}

// A header is a pair in JSON.
func (h *header) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&h.name, &h.value})
}

func (h header) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{h.name, h.value})
}

type event struct {
	timestamp  int64
	key, value []byte
	headers    []header
}

func (e *event) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&e.timestamp, &e.key, &e.value, &e.headers})
}

type command struct {
	Do          string  `json:"do"`
	Topic       string  `json:"topic"`
	Partitions  int32   `json:"partitions"`
	Compression string  `json:"compression"`
	Idempotent  bool    `json:"idempotent"`
	Events      []event `json:"events"`
	Group       string  `json:"group"`
	Count       int     `json:"count"`
	Assignor    string  `json:"assignor"`
	SessionMs   int     `json:"session_ms"`
}

var (
	bootstrap = os.Args[len(os.Args)-1]
	codecs    = map[string]sarama.CompressionCodec{
		"none":   sarama.CompressionNone,
		"gzip":   sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy,
		"lz4":    sarama.CompressionLZ4,
		"zstd":   sarama.CompressionZSTD,
	}
	strategies = map[string]func() sarama.BalanceStrategy{
		"range":      sarama.NewBalanceStrategyRange,
		"roundrobin": sarama.NewBalanceStrategyRoundRobin,
	}
	out sync.Mutex
)

func say(fields map[string]any) {
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	fmt.Println(string(line))
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	return config
}

func createTopic(c command) (map[string]any, error) {
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, settings())
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	detail := sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: 1}
	if err := admin.CreateTopic(c.Topic, &detail, false); err != nil {
		return nil, err
	}
	return map[string]any{"created": true}, nil
}

func encoder(data []byte) sarama.Encoder {
	if data == nil {
		return nil
	}
	return sarama.ByteEncoder(data)
}

func produce(c command) (map[string]any, error) {
	config := settings()
	config.Producer.Compression = codecs[c.Compression]
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.Idempotent = c.Idempotent
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, each := range c.Events {
		message := &sarama.ProducerMessage{Topic: c.Topic, Key: encoder(each.key), Value: encoder(each.value),
			Timestamp: time.UnixMilli(each.timestamp)}
		for _, pair := range each.headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(pair.name), Value: pair.value})
		}
		messages = append(messages, message)
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, err
	}
	return map[string]any{"produced": len(messages)}, nil
}

// A session of a group: sarama makes a new one for each generation. What was marked is committed in Cleanup, before
// the next generation.
type session struct {
	topic string
	owned []int32
	found func(*sarama.ConsumerMessage)
}

func (s *session) Setup(own sarama.ConsumerGroupSession) error {
	s.owned = slices.Clone(own.Claims()[s.topic])
	report("assigned", s.owned)
	return nil
}

func (s *session) Cleanup(own sarama.ConsumerGroupSession) error {
	report("revoked", s.owned)
	own.Commit()
	return nil
}

func (s *session) ConsumeClaim(own sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-own.Context().Done():
			return nil
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			s.found(message)
			own.MarkMessage(message, "")
		}
	}
}

func consume(ctx context.Context, c command, config *sarama.Config, found func(*sarama.ConsumerMessage)) error {
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	group, err := sarama.NewConsumerGroup([]string{bootstrap}, c.Group, config)
	if err != nil {
		return err
	}
	defer group.Close()
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{c.Topic}, &session{topic: c.Topic, found: found}); err != nil {
			return err
		}
	}
	return nil
}

func read(c command) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var events []any
	var lock sync.Mutex
	err := consume(ctx, c, settings(), func(m *sarama.ConsumerMessage) {
		headers := []header{}
		for _, pair := range m.Headers {
			headers = append(headers, header{string(pair.Key), pair.Value})
		}
		lock.Lock()
		defer lock.Unlock()
		events = append(events, []any{m.Partition, m.Offset, m.Timestamp.UnixMilli(), m.Key, m.Value, headers})
		if len(events) >= c.Count {
			cancel()
		}
	})
	return map[string]any{"events": events}, err
}

func report(what string, partitions []int32) {
	slices.Sort(partitions)
	say(map[string]any{"report": what, "at_us": time.Now().UnixMicro(), "partitions": append([]int32{}, partitions...)})
}

func join(ctx context.Context, c command) (map[string]any, error) {
	config := settings()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[c.Assignor]()}
	config.Consumer.Group.Session.Timeout = time.Duration(c.SessionMs) * time.Millisecond
	config.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	err := consume(ctx, c, config, func(m *sarama.ConsumerMessage) {
		say(map[string]any{"report": "events", "positions": [][2]int64{{int64(m.Partition), m.Offset}}})
	})
	return map[string]any{"left": true}, err
}

func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, each := range info.Deps {
		if each.Path == module {
			return each.Version
		}
	}
	return "unknown"
}

func main() {
	say(map[string]any{"ready": true, "version": version("github.com/IBM/sarama")})
	commands := make(chan command, 16)
	membership, leave := context.WithCancel(context.Background())
	go func() {
		decoder := json.NewDecoder(bufio.NewReader(os.Stdin))
		for {
			var c command
			if err := decoder.Decode(&c); err != nil {
				close(commands)
				return
			}
			if c.Do == "leave" {
				leave()
			} else {
				commands <- c
			}
		}
	}()
	for c := range commands {
		var answer map[string]any
		var err error
		switch c.Do {
		case "create_topic":
			answer, err = createTopic(c)
		case "produce":
			answer, err = produce(c)
		case "read":
			answer, err = read(c)
		case "join":
			answer, err = join(membership, c)
		}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		say(answer)
	}
}
