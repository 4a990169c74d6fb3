import type { DesiredCluster } from "../api/index.js";
import type { Pod } from "../kube/index.js";
import { PORTS, memberAddress, serviceAddress, type ClusterIdentity } from "./identity.js";
import type { Intent } from "./intent.js";
import { DIRECTORIES, TLS_ARGS, buildPod } from "./pod.js";

/** What a store's pod is made from. */
export interface StorePodInput {
  readonly cluster: ClusterIdentity;
  readonly desired: DesiredCluster;
  readonly name: string;
  /** Full reference. */
  readonly image: string;
  readonly intent: Intent;
}

/** Builds the pod of a store. All settings are flags: they are part of the pod and cannot drift away from it. */
export function buildStorePod({ cluster, desired, name, image, intent }: StorePodInput): Pod {
  const hasLogVolume = desired.logStorage !== undefined;
  return buildPod({
    ...{ cluster, desired, component: "store", name, image, intent, hasLogVolume },
    command: "rhea-store",
    args: [
      `--cluster-id=${cluster.clusterId}`,
      `--cluster-name=${cluster.name}`,
      `--name=${name}`,
      `--address=0.0.0.0:${PORTS.store}`,
      `--advertise-address=${memberAddress(cluster, "store", name)}`,
      `--status-address=0.0.0.0:${PORTS.storeStatus}`,
      `--pd=${serviceAddress(cluster, "pd")}`,
      `--data-dir=${DIRECTORIES.data}`,
      ...(hasLogVolume ? [`--log-dir=${DIRECTORIES.log}`] : []),
      `--engine=${desired.engine}`,
      "--labels=host=$(NODE_NAME)",
      `--log-level=${desired.logLevel}`,
      `--raft.tick-ms=${desired.raft.tickMs}`,
      `--raft.election-ticks=${desired.raft.electionTicks}`,
      `--raft.heartbeat-ticks=${desired.raft.heartbeatTicks}`,
      ...(desired.tls.isEnabled ? TLS_ARGS : []),
    ],
    ports: { grpc: PORTS.store, status: PORTS.storeStatus },
  });
}
