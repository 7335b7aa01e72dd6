//! krafka: two members of a share group bill orders; one releases its first order, which is delivered again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use krafka::admin::{ConfigOp, ConfigResource};
use krafka::share_consumer::AcknowledgementMode;
use krafka::{Kafka, Record};

const ORDERS: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kafka = Kafka::builder(std::env::var("KAFKA_BOOTSTRAP_SERVERS")?).connect().await?;
    let earliest = vec![ConfigOp::set("share.auto.offset.reset", "earliest")];
    let changed = kafka
        .admin()
        .incremental_alter_configs([(ConfigResource::group("billing"), earliest)], Default::default())
        .await?;
    for outcome in changed.into_values() {
        outcome?;
    }
    let producer = kafka.producer().build().await?;
    for number in 0..ORDERS {
        producer.send(Record::new("orders", number.to_string()).key(format!("user-{}", number % 3))).await?;
    }

    let mut members = Vec::new();
    for _ in 0..2 {
        let member =
            kafka.share_consumer("billing").acknowledgement_mode(AcknowledgementMode::Explicit).build().await?;
        member.subscribe(["orders"]).await?;
        members.push(member);
    }
    let (mut billed, mut deliveries, mut released) = (BTreeSet::new(), 0, None);
    let deadline = Instant::now() + Duration::from_secs(60);
    while billed.len() < ORDERS {
        assert!(Instant::now() < deadline, "billed {billed:?}");
        for member in &members {
            for record in member.poll(Duration::from_millis(500)).await? {
                let number: usize = record.value_str().ok_or("no value")?.parse()?;
                deliveries += 1;
                if released.is_none() {
                    released = Some(number);
                    member.release(&record)?;
                } else {
                    let expected = if released == Some(number) { 2 } else { 1 };
                    assert_eq!(record.delivery_count, Some(expected), "order {number}");
                    assert!(billed.insert(number), "order {number} was billed twice");
                    member.ack(&record)?;
                }
            }
            for outcome in member.commit().await?.into_values() {
                outcome?;
            }
        }
    }
    for member in members {
        member.close().await?;
    }
    assert_eq!(deliveries, ORDERS + 1);
    println!("krafka {} ok", env!("FRAMEWORK_VERSION"));
    Ok(())
}
