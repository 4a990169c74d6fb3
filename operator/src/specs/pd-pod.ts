import type { DesiredCluster } from "../api/index.js";
import type { Pod } from "../kube/index.js";
import { PORTS, memberAddress, serviceAddress, type ClusterIdentity } from "./identity.js";
import type { Intent } from "./intent.js";
import { DIRECTORIES, TLS_ARGS, buildPod } from "./pod.js";

/** What the pod of a PD member is made from. */
export interface PdPodInput {
  readonly cluster: ClusterIdentity;
  readonly desired: DesiredCluster;
  readonly name: string;
  /** Full reference. */
  readonly image: string;
  readonly intent: Intent;
  /** No member has ever served: this one begins the cluster. */
  readonly isFirst: boolean;
  /** It has served: on an empty volume it must stop instead of beginning anew. */
  readonly isInitialised: boolean;
  /** Names of the other members. */
  readonly others: readonly string[];
}

/** Builds the pod of a PD member. */
export function buildPdPod(input: PdPodInput): Pod {
  const { cluster, desired, name, image, intent, isFirst, isInitialised, others } = input;
  const join = [...others.map((other) => memberAddress(cluster, "pd", other)), serviceAddress(cluster, "pd")];
  return buildPod({
    ...{ cluster, desired, component: "pd", name, image, intent, hasLogVolume: false },
    command: "rhea-pd",
    args: [
      `--cluster-id=${cluster.clusterId}`,
      `--name=${name}`,
      `--address=0.0.0.0:${PORTS.pd}`,
      `--advertise-address=${memberAddress(cluster, "pd", name)}`,
      `--status-address=0.0.0.0:${PORTS.pdStatus}`,
      `--data-dir=${DIRECTORIES.data}`,
      ...(isInitialised ? ["--initial-state=existing"] : []),
      ...(isFirst ? [] : [`--join=${join.join(",")}`]),
      `--log-level=${desired.logLevel}`,
      "--repair=operator",
      `--replicas=${desired.regionReplicas}`,
      `--region.max-bytes=${desired.regionMaxBytes}`,
      `--region.max-keys=${desired.regionMaxKeys}`,
      `--schedule.operation-limit=${desired.operationLimit}`,
      ...(desired.tls.isEnabled ? TLS_ARGS : []),
    ],
    ports: { grpc: PORTS.pd, status: PORTS.pdStatus },
  });
}
