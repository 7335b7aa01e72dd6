// The client program of franz-go.
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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
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
	codecs    = map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	balancers = map[string]func() kgo.GroupBalancer{
		"range":              kgo.RangeBalancer,
		"roundrobin":         kgo.RoundRobinBalancer,
		"cooperative-sticky": kgo.CooperativeStickyBalancer,
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

func createTopic(ctx context.Context, c command) (map[string]any, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, c.Partitions, 1, nil, c.Topic); err != nil {
		return nil, err
	}
	return map[string]any{"created": true}, nil
}

func produce(ctx context.Context, c command) (map[string]any, error) {
	options := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codecs[c.Compression])}
	if !c.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var records []*kgo.Record
	for _, each := range c.Events {
		record := &kgo.Record{Topic: c.Topic, Key: each.key, Value: each.value, Timestamp: time.UnixMilli(each.timestamp)}
		for _, pair := range each.headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: pair.name, Value: pair.value})
		}
		records = append(records, record)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return nil, err
	}
	return map[string]any{"produced": len(records)}, nil
}

func read(ctx context.Context, c command) (map[string]any, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var events []any
	for len(events) < c.Count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			headers := []header{}
			for _, pair := range r.Headers {
				headers = append(headers, header{pair.Key, pair.Value})
			}
			events = append(events, []any{r.Partition, r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, headers})
		})
	}
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		return nil, err
	}
	return map[string]any{"events": events}, nil
}

func report(what string, partitions []int32) {
	slices.Sort(partitions)
	say(map[string]any{"report": what, "at_us": time.Now().UnixMicro(), "partitions": append([]int32{}, partitions...)})
}

// A member commits what it reported when partitions are taken away; rebalances wait while a poll is worked through.
func join(ctx context.Context, c command, leave <-chan struct{}) (map[string]any, error) {
	session := time.Duration(c.SessionMs) * time.Millisecond
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.Balancers(balancers[c.Assignor]()), kgo.SessionTimeout(session), kgo.RebalanceTimeout(10*time.Second),
		kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			report("assigned", taken[c.Topic])
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, taken map[string][]int32) {
			report("revoked", taken[c.Topic])
			if err := client.CommitUncommittedOffsets(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "commit:", err)
			}
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			report("lost", taken[c.Topic])
		}))
	if err != nil {
		return nil, err
	}
	for {
		select {
		case <-leave:
			client.CloseAllowingRebalance()
			return map[string]any{"left": true}, nil
		default:
		}
		bounded, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := client.PollFetches(bounded)
		cancel()
		positions := [][2]int64{}
		fetches.EachRecord(func(r *kgo.Record) {
			positions = append(positions, [2]int64{int64(r.Partition), r.Offset})
		})
		if len(positions) > 0 {
			say(map[string]any{"report": "events", "positions": positions})
		}
		client.AllowRebalance()
	}
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
	say(map[string]any{"ready": true, "version": version("github.com/twmb/franz-go")})
	commands := make(chan command, 16)
	leave := make(chan struct{}, 1)
	go func() {
		lines := bufio.NewReader(os.Stdin)
		decoder := json.NewDecoder(lines)
		for {
			var c command
			if err := decoder.Decode(&c); err != nil {
				close(commands)
				return
			}
			if c.Do == "leave" {
				leave <- struct{}{}
			} else {
				commands <- c
			}
		}
	}()
	for c := range commands {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		var answer map[string]any
		var err error
		switch c.Do {
		case "create_topic":
			answer, err = createTopic(ctx, c)
		case "produce":
			answer, err = produce(ctx, c)
		case "read":
			answer, err = read(ctx, c)
		case "join":
			answer, err = join(context.Background(), c, leave)
		}
		cancel()
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		say(answer)
	}
}
