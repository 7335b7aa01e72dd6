//! rskafka: writes orders to each partition, reads them back from each, and writes bills. It has no consumer groups.

use std::collections::BTreeMap;

use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, OffsetAt, UnknownTopicHandling};
use rskafka::record::Record;

const ORDERS: i64 = 20;
const PARTITIONS: i32 = 3;

fn record(value: i64) -> Record {
    Record {
        key: Some(format!("user-{}", value % 3).into_bytes()),
        value: Some(value.to_string().into_bytes()),
        headers: BTreeMap::from([("source".to_owned(), b"rskafka".to_vec())]),
        timestamp: chrono::Utc::now(),
    }
}

fn number(record: &Record) -> i64 {
    std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP_SERVERS")?;
    let client = ClientBuilder::new(vec![bootstrap]).build().await?;
    let bills = client.partition_client("bills", 0, UnknownTopicHandling::Error).await?;
    let codecs = [Compression::Zstd, Compression::Lz4, Compression::Snappy];
    for (partition, codec) in (0..PARTITIONS).zip(codecs) {
        let orders = client.partition_client("orders", partition, UnknownTopicHandling::Error).await?;
        let sent = (0..ORDERS).filter(|n| n % 3 == i64::from(partition)).map(record).collect();
        orders.produce(sent, codec).await?;
        let (mut offset, end) = (0, orders.get_offset(OffsetAt::Latest).await?);
        while offset < end {
            let (records, _) = orders.fetch_records(offset, 1..1_000_000, 1_000).await?;
            offset = records.last().ok_or("an empty answer")?.offset + 1;
            let billed = records.iter().map(|one| record(number(&one.record) * 2)).collect();
            bills.produce(billed, Compression::Gzip).await?;
        }
    }
    let (mut found, mut offset) = (Vec::new(), 0);
    while offset < ORDERS {
        let (records, _) = bills.fetch_records(offset, 1..1_000_000, 1_000).await?;
        offset = records.last().ok_or("an empty answer")?.offset + 1;
        found.extend(records.iter().map(|one| number(&one.record)));
    }
    found.sort();
    assert_eq!(found, (0..ORDERS).map(|n| n * 2).collect::<Vec<_>>());
    println!("rskafka {} ok", env!("FRAMEWORK_VERSION"));
    Ok(())
}
