// sarama: a consumer group reads orders and sends bills; another group reads the bills.
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

	"github.com/IBM/sarama"
)

const orders = 20

type handler struct {
	handle func(*sarama.ConsumerMessage)
}

func (handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		h.handle(message)
		session.MarkMessage(message, "")
	}
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func consume(ctx context.Context, group, topic string, config *sarama.Config, handle func(*sarama.ConsumerMessage)) {
	consumer, err := sarama.NewConsumerGroup([]string{os.Getenv("KAFKA_BOOTSTRAP_SERVERS")}, group, config)
	check(err)
	defer consumer.Close()
	for ctx.Err() == nil {
		check(consumer.Consume(ctx, []string{topic}, handler{handle}))
	}
}

func main() {
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	producer, err := sarama.NewSyncProducer([]string{os.Getenv("KAFKA_BOOTSTRAP_SERVERS")}, config)
	check(err)
	send := func(topic, key string, value int) {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(strconv.Itoa(value)),
		})
		check(err)
	}
	for number := range orders {
		send("orders", fmt.Sprintf("user-%d", number%3), number)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go consume(ctx, "billing", "orders", config, func(order *sarama.ConsumerMessage) {
		amount, err := strconv.Atoi(string(order.Value))
		check(err)
		send("bills", string(order.Key), amount*2)
	})
	var bills []int
	consume(ctx, "ledger", "bills", config, func(bill *sarama.ConsumerMessage) {
		total, err := strconv.Atoi(string(bill.Value))
		check(err)
		if bills = append(bills, total); len(bills) == orders {
			cancel()
		}
	})
	slices.Sort(bills)
	for number := range orders {
		if len(bills) != orders || bills[number] != number*2 {
			log.Fatalf("bills: %v", bills)
		}
	}
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/IBM/sarama" {
			fmt.Printf("sarama %s ok\n", module.Version)
		}
	}
}
