// kafka-go: a reader with a group reads orders and commits them, a writer sends bills.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

const orders = 20

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP_SERVERS")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	writer := &kafka.Writer{
		Addr: kafka.TCP(bootstrap), Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		Compression: kafka.Zstd, BatchTimeout: 10 * time.Millisecond,
	}
	defer writer.Close()
	reader := func(group, topic string) *kafka.Reader {
		return kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{bootstrap}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
			MaxWait: 200 * time.Millisecond,
		})
	}
	var sent []kafka.Message
	for number := range orders {
		key := []byte(fmt.Sprintf("user-%d", number%3))
		sent = append(sent, kafka.Message{Topic: "orders", Key: key, Value: []byte(strconv.Itoa(number))})
	}
	check(writer.WriteMessages(ctx, sent...))

	billing := reader("billing", "orders")
	for range orders {
		order, err := billing.FetchMessage(ctx)
		check(err)
		amount, err := strconv.Atoi(string(order.Value))
		check(err)
		bill := kafka.Message{Topic: "bills", Key: order.Key, Value: []byte(strconv.Itoa(amount * 2))}
		check(writer.WriteMessages(ctx, bill))
		check(billing.CommitMessages(ctx, order))
	}
	check(billing.Close())

	ledger := reader("ledger", "bills")
	var bills []int
	for range orders {
		bill, err := ledger.ReadMessage(ctx)
		check(err)
		total, err := strconv.Atoi(string(bill.Value))
		check(err)
		bills = append(bills, total)
	}
	check(ledger.Close())
	slices.Sort(bills)
	for number, total := range bills {
		if total != number*2 {
			log.Fatalf("bills: %v", bills)
		}
	}
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/segmentio/kafka-go" {
			fmt.Printf("kafka-go %s ok\n", module.Version)
		}
	}
}
