// Makes every call of Java's Admin that administers a cluster, and prints one line for each: its name and its outcome.
// Arguments: the bootstrap address, and the name of a topic that it may create.

import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;

public class AdminProgram {
    static void outcome(String name, Callable<Object> call) throws InterruptedException {
        String text;
        try {
            text = String.valueOf(call.call());
        } catch (ExecutionException error) {
            text = error.getCause().getClass().getSimpleName();
        } catch (Exception error) {
            text = error.getClass().getSimpleName();
        }
        System.out.println(name + "\t" + text);
    }

    static Map<ConfigResource, Collection<AlterConfigOp>> change(ConfigResource.Type type, String name, String key, String value) {
        AlterConfigOp.OpType kind = value == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET;
        return Map.of(new ConfigResource(type, name), List.of(new AlterConfigOp(new ConfigEntry(key, value), kind)));
    }

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        TopicPartition place = new TopicPartition(topic, 0);
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "request.timeout.ms", "10000", "default.api.timeout.ms", "15000");
        try (Admin admin = Admin.create(settings)) {
            outcome("createTopics", () -> admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all().get());
            outcome("describeTopics", () -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
            outcome("describeTopics, paged", () -> admin.describeTopics(TopicCollection.ofTopicNames(List.of(topic)),
                new DescribeTopicsOptions().partitionSizeLimitPerResponse(1)).allTopicNames().get().get(topic).partitions().size());
            outcome("describeTopics, operations", () -> admin.describeTopics(List.of(topic),
                new DescribeTopicsOptions().includeAuthorizedOperations(true)).allTopicNames().get().get(topic).authorizedOperations().size());
            outcome("describeCluster", () -> admin.describeCluster().nodes().get().size());
            outcome("describeCluster, operations", () -> admin.describeCluster(
                new DescribeClusterOptions().includeAuthorizedOperations(true)).authorizedOperations().get().size());
            outcome("describeCluster, fenced", () -> admin.describeCluster(
                new DescribeClusterOptions().includeFencedBrokers(true)).nodes().get().size());
            outcome("createPartitions", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get());
            configs(admin, topic);
            partitions(admin, place);
            security(admin);
            cluster(admin);
            outcome("deleteTopics", () -> admin.deleteTopics(List.of(topic)).all().get());
        }
    }

    static void configs(Admin admin, String topic) throws InterruptedException {
        ConfigResource own = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        outcome("describeConfigs", () -> admin.describeConfigs(List.of(own)).all().get().get(own).get("cleanup.policy").value());
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        outcome("describeConfigs, broker", () -> admin.describeConfigs(List.of(broker)).all().get().get(broker).get("node.id").value());
        ConfigResource logger = new ConfigResource(ConfigResource.Type.BROKER_LOGGER, "1");
        outcome("describeConfigs, loggers", () -> admin.describeConfigs(List.of(logger)).all().get().get(logger).get("root") != null);
        outcome("incrementalAlterConfigs", () -> admin.incrementalAlterConfigs(change(ConfigResource.Type.TOPIC, topic, "retention.ms", "5000000")).all().get());
        outcome("incrementalAlterConfigs, broker", () -> admin.incrementalAlterConfigs(change(ConfigResource.Type.BROKER, "", "log.cleaner.threads", "1")).all().get());
        outcome("incrementalAlterConfigs, fixed", () -> admin.incrementalAlterConfigs(change(ConfigResource.Type.BROKER, "1", "num.partitions", "2")).all().get());
        outcome("incrementalAlterConfigs, group", () -> admin.incrementalAlterConfigs(change(ConfigResource.Type.GROUP, topic, "consumer.session.timeout.ms", "45000")).all().get());
        outcome("incrementalAlterConfigs, metrics", () -> admin.incrementalAlterConfigs(change(ConfigResource.Type.CLIENT_METRICS, topic, "interval.ms", "60000")).all().get());
        outcome("incrementalAlterConfigs, bad", () -> admin.incrementalAlterConfigs(change(ConfigResource.Type.TOPIC, topic, "retention.ms", "soon")).all().get());
        outcome("listConfigResources", () -> admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new ListConfigResourcesOptions()).all().get().contains(own));
    }

    static void partitions(Admin admin, TopicPartition place) throws InterruptedException {
        outcome("deleteRecords", () -> admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(0))).lowWatermarks().get(place).get().lowWatermark());
        outcome("deleteRecords, beyond", () -> admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(9))).all().get());
        outcome("describeLogDirs", () -> admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).size());
        outcome("describeReplicaLogDirs", () -> admin.describeReplicaLogDirs(List.of(new TopicPartitionReplica(place.topic(), 0, 1))).all().get().size());
        outcome("alterReplicaLogDirs", () -> admin.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(place.topic(), 0, 1), "/nowhere")).all().get());
        outcome("electLeaders", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(place)).partitions().get().get(place).get().getClass().getSimpleName());
        outcome("electLeaders, unclean", () -> admin.electLeaders(ElectionType.UNCLEAN, Set.of(place)).partitions().get().get(place).get().getClass().getSimpleName());
        outcome("electLeaders, all", () -> admin.electLeaders(ElectionType.PREFERRED, null).all().get());
        outcome("alterPartitionReassignments", () -> admin.alterPartitionReassignments(Map.of(place, Optional.of(new NewPartitionReassignment(List.of(1))))).all().get());
        outcome("alterPartitionReassignments, unknown", () -> admin.alterPartitionReassignments(Map.of(place, Optional.of(new NewPartitionReassignment(List.of(7))))).all().get());
        outcome("alterPartitionReassignments, cancel", () -> admin.alterPartitionReassignments(Map.of(place, Optional.empty())).all().get());
        outcome("listPartitionReassignments", () -> admin.listPartitionReassignments().reassignments().get());
        outcome("listOffsets", () -> admin.listOffsets(Map.of(place, OffsetSpec.latest())).all().get().get(place).offset());
    }

    static void security(Admin admin) throws InterruptedException {
        outcome("describeAcls", () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        AclBinding acl = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "t", PatternType.LITERAL),
            new AccessControlEntry("User:a", "*", AclOperation.READ, AclPermissionType.ALLOW));
        outcome("createAcls", () -> admin.createAcls(List.of(acl)).all().get());
        outcome("deleteAcls", () -> admin.deleteAcls(List.of(AclBindingFilter.ANY)).all().get());
        outcome("createDelegationToken", () -> admin.createDelegationToken().delegationToken().get());
        outcome("describeDelegationToken", () -> admin.describeDelegationToken().delegationTokens().get());
        outcome("renewDelegationToken", () -> admin.renewDelegationToken(new byte[] {1}).expiryTimestamp().get());
        outcome("expireDelegationToken", () -> admin.expireDelegationToken(new byte[] {1}).expiryTimestamp().get());
        outcome("alterUserScramCredentials", () -> admin.alterUserScramCredentials(List.of(
            new UserScramCredentialUpsertion("java", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).all().get());
        outcome("alterUserScramCredentials, few", () -> admin.alterUserScramCredentials(List.of(
            new UserScramCredentialUpsertion("java", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 5), "secret"))).all().get());
        outcome("describeUserScramCredentials, nobody", () -> admin.describeUserScramCredentials(List.of("nobody")).all().get());
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of("user", "java"));
        outcome("alterClientQuotas", () -> admin.alterClientQuotas(List.of(
            new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e6))))).all().get());
        outcome("alterClientQuotas, bad", () -> admin.alterClientQuotas(List.of(
            new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("nonsense", 1.0))))).all().get());
        outcome("describeClientQuotas, none", () -> admin.describeClientQuotas(ClientQuotaFilter.containsOnly(
            List.of(ClientQuotaFilterComponent.ofEntity("user", "nobody")))).entities().get());
    }

    static void cluster(Admin admin) throws InterruptedException {
        outcome("describeMetadataQuorum", () -> admin.describeMetadataQuorum().quorumInfo().get().leaderId());
        outcome("describeFeatures", () -> admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version"));
        outcome("updateFeatures", () -> admin.updateFeatures(Map.of("transaction.version",
            new FeatureUpdate((short) 2, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions().validateOnly(true)).all().get());
        outcome("updateFeatures, unknown", () -> admin.updateFeatures(Map.of("nonsense",
            new FeatureUpdate((short) 2, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions().validateOnly(true)).all().get());
        outcome("unregisterBroker", () -> admin.unregisterBroker(7).all().get());
        outcome("removeRaftVoter", () -> admin.removeRaftVoter(7, org.apache.kafka.common.Uuid.randomUuid()).all().get());
        // Of a producer id that nobody has: other tests may have left transactions of their own.
            outcome("listTransactions", () -> admin.listTransactions(
                new ListTransactionsOptions().filterProducerIds(List.of(Long.MAX_VALUE))).all().get());
        outcome("describeTransactions", () -> admin.describeTransactions(List.of("nobody")).all().get());
        outcome("describeConsumerGroups", () -> admin.describeConsumerGroups(List.of("nobody")).all().get());
        outcome("clientInstanceId", () -> admin.clientInstanceId(java.time.Duration.ofSeconds(2)));
    }
}
