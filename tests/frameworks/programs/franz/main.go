// franz-go: a consume-transform-produce loop in transactions, then a reader of committed bills.
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

	"github.com/twmb/franz-go/pkg/kgo"
)

const orders = 20

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func number(record *kgo.Record) int {
	found, err := strconv.Atoi(string(record.Value))
	check(err)
	return found
}

func main() {
	seed := kgo.SeedBrokers(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(seed)
	check(err)
	defer client.Close()
	for n := range orders {
		order := &kgo.Record{Topic: "orders", Key: []byte(fmt.Sprintf("user-%d", n%3)), Value: []byte(strconv.Itoa(n))}
		check(client.ProduceSync(ctx, order).FirstErr())
	}

	session, err := kgo.NewGroupTransactSession(seed, kgo.TransactionalID("billing-0"), kgo.ConsumerGroup("billing"),
		kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets())
	check(err)
	for billed := 0; billed < orders; {
		fetches := session.PollFetches(ctx)
		check(fetches.Err())
		check(session.Begin())
		fetches.EachRecord(func(order *kgo.Record) {
			bill := &kgo.Record{Topic: "bills", Key: order.Key, Value: []byte(strconv.Itoa(number(order) * 2))}
			session.Produce(ctx, bill, nil)
		})
		committed, err := session.End(ctx, kgo.TryCommit)
		check(err)
		if committed {
			billed += fetches.NumRecords()
		}
	}
	session.Close()

	ledger, err := kgo.NewClient(seed, kgo.ConsumeTopics("bills"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(err)
	defer ledger.Close()
	var bills []int
	for len(bills) < orders {
		fetches := ledger.PollFetches(ctx)
		check(fetches.Err())
		fetches.EachRecord(func(bill *kgo.Record) { bills = append(bills, number(bill)) })
	}
	slices.Sort(bills)
	for n, total := range bills {
		if total != n*2 {
			log.Fatalf("bills: %v", bills)
		}
	}
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			fmt.Printf("franz-go %s ok\n", module.Version)
		}
	}
}
