// franz-go's share consumer: `franz_share-program TOPIC GROUP BOOTSTRAP` reads a topic of one partition with the values
// v0 to v5, and prints one line per outcome.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func member(topic, group, bootstrap string) *kgo.Client {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic), kgo.ShareGroup(group),
		kgo.ShareAckCallback(func(_ *kgo.Client, results kgo.ShareAckResults) { check(results.Error()) }))
	check(err)
	return client
}

func poll(ctx context.Context, client *kgo.Client, wanted int) []*kgo.Record {
	var records []*kgo.Record
	for len(records) < wanted {
		fetches := client.PollRecords(ctx, wanted-len(records))
		check(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

func report(what string, records ...*kgo.Record) {
	for _, record := range records {
		fmt.Printf("%s %s delivery %d\n", what, record.Value, record.DeliveryCount())
	}
}

func main() {
	topic, group, bootstrap := os.Args[1], os.Args[2], os.Args[3]
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()

	first := member(topic, group, bootstrap)
	for _, record := range poll(ctx, first, 6) {
		switch string(record.Value) {
		case "v1":
			record.Ack(kgo.AckRelease)
			report("released", record)
		case "v3":
			record.Ack(kgo.AckReject)
			report("rejected", record)
		default:
			record.Ack(kgo.AckAccept)
			report("accepted", record)
		}
	}
	check(first.FlushAcks(ctx))

	again := poll(ctx, first, 1)[0]
	again.Ack(kgo.AckRenew)
	check(first.FlushAcks(ctx))
	report("renewed", again)
	// It is not acknowledged: the member releases it when it leaves.
	first.Close()

	second := member(topic, group, bootstrap)
	last := poll(ctx, second, 1)[0]
	last.Ack(kgo.AckAccept)
	check(second.FlushAcks(ctx))
	report("accepted by another member", last)
	idle, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	fmt.Printf("then %d records\n", second.PollRecords(idle, 1).NumRecords())
	second.Close()
}
