/** Commands that show the cluster: cluster, stores, regions, operations. */
import { RheaError } from "@rhea/common";
import {
  peerRoleName,
  stepKindName,
  storeStateName,
  type ClusterConfigInit,
  type Operation,
  type RegionHealth,
  type RegionRoute,
  type StoreInfo,
} from "@rhea/client";
import { bytesText, durationText, keyText } from "../output.js";
import { print, wholeNumber, type CommandContext } from "./context.js";

/** Configuration keys that `cluster --set` takes, and how their values are read. */
const SETTINGS: Readonly<Record<string, "number" | "boolean" | "string">> = {
  replicas: "number",
  repair: "string",
  regionMaxBytes: "number",
  regionMaxKeys: "number",
  maxDownTimeMs: "number",
  disconnectedAfterMs: "number",
  operationLimit: "number",
  schedulingPaused: "boolean",
  leaderBalanceLimit: "number",
  regionBalanceLimit: "number",
};

function parseSetting(text: string): ClusterConfigInit {
  const [name = "", value = ""] = text.split(/=(.*)/s, 2);
  const kind = SETTINGS[name];
  if (kind === undefined) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `--set ${text}: no such key, there are ${Object.keys(SETTINGS).join(", ")}`,
    );
  }
  if (kind === "number") return { [name]: wholeNumber(value, `--set ${name}`, 0) };
  if (kind === "string") return { [name]: value };
  if (value === "true" || value === "false") return { [name]: value === "true" };
  throw new RheaError("INVALID_ARGUMENT", `--set ${name}: ${JSON.stringify(value)} given, true or false is needed`);
}

/** `cluster`: id, members and configuration; `--set` changes it. */
export async function cluster(context: CommandContext, options: { readonly set?: readonly string[] }): Promise<void> {
  const changes = (options.set ?? []).map(parseSetting);
  const admin = await context.admin();
  if (changes.length > 0) await admin.setClusterConfig(Object.assign({}, ...changes) as ClusterConfigInit);
  const info = await admin.clusterInfo();
  const config = Object.entries(info.config ?? {}).filter(
    (entry): entry is [string, string | number | boolean] => entry[1] !== null,
  );
  const rows: [string, string][] = [
    ["cluster", String(info.clusterId)],
    ["bootstrapped", String(info.bootstrapped)],
    ["version", info.version],
    ...info.members.map(({ name, memberId, address, leader }): [string, string] => [
      "pd",
      `${name} (${memberId}) ${address}${leader ? " leader" : ""}`,
    ]),
    ...config.map(([name, value]): [string, string] => [name, String(value)]),
  ];
  await print(context, { ...info, config: Object.fromEntries(config) }, ["KEY", "VALUE"], rows);
}

function storeJson(info: StoreInfo): unknown {
  const { store, stats, ...rest } = info;
  return {
    storeId: store?.storeId,
    name: store?.name,
    address: store?.address,
    statusAddress: store?.statusAddress,
    state: storeStateName(store?.state ?? 0),
    labels: store?.labels,
    version: store?.version,
    incarnation: store?.incarnation,
    ...rest,
    capacity: stats?.capacity,
    available: stats?.available,
    usedSize: stats?.usedSize,
    isBusy: stats?.isBusy,
    faults: stats?.faults,
  };
}

/** `stores`. */
export async function stores(context: CommandContext, options: { readonly all?: boolean }): Promise<void> {
  const admin = await context.admin();
  const list = await admin.stores({ includeTombstones: options.all === true });
  const rows = list.map((info) => [
    info.store?.storeId ?? 0,
    info.store?.name ?? "",
    info.store?.address ?? "",
    storeStateName(info.store?.state ?? 0) + (info.diskLost ? " (disk lost)" : ""),
    info.regionCount,
    info.leaderCount,
    info.pendingPeerCount,
    bytesText(info.stats?.usedSize ?? 0),
    bytesText(info.stats?.available ?? 0),
    durationText(info.lastHeartbeatMsAgo),
    drainText(info),
  ]);
  const headers = ["ID", "NAME", "ADDRESS", "STATE", "REGIONS", "LEADERS", "PENDING", "USED", "FREE", "HEARD", "DRAIN"];
  await print(context, list.map(storeJson), headers, rows);
}

function drainText(info: StoreInfo): string {
  if (storeStateName(info.store?.state ?? 0) !== "draining") return "-";
  const done = `${Math.floor(info.drainedRatio * 100)} %`;
  return info.drainBlocked === "" ? done : `${done}, blocked: ${info.drainBlocked}`;
}

/** Options of regions. */
export interface RegionsOptions {
  readonly start?: string;
  readonly end?: string;
  readonly limit?: string;
}

/** `regions`, in key order. */
export async function regions(context: CommandContext, options: RegionsOptions): Promise<void> {
  const admin = await context.admin();
  const answer = await admin.regions({
    startKey: options.start,
    endKey: options.end,
    withHealth: true,
    ...(options.limit === undefined ? {} : { limit: wholeNumber(options.limit, "--limit") }),
  });
  const health = new Map(answer.health.map((each) => [each.regionId, each]));
  const found = answer.routes.flatMap(({ region, leader }) => (region === null ? [] : [{ region, leader }]));
  const rows = found.map(({ region, leader }) => {
    const state = health.get(region.regionId);
    return [
      region.regionId,
      keyText(region.startKey),
      keyText(region.endKey),
      `${region.epoch?.confVer ?? 0}.${region.epoch?.version ?? 0}`,
      leader === null ? "-" : String(leader.storeId),
      peersText(region, state),
      bytesText(state?.approximateSize ?? 0),
      state?.approximateKeys ?? 0,
      healthText(state),
    ];
  });
  const json = found.map(({ region, leader }) => regionJson({ region, leader }, health.get(region.regionId)));
  await print(context, json, ["ID", "START", "END", "EPOCH", "LEADER", "PEERS", "SIZE", "KEYS", "HEALTH"], rows);
}

function peersText(region: NonNullable<RegionRoute["region"]>, health: RegionHealth | undefined): string {
  return region.peers
    .map(({ peerId, storeId, role }) => {
      const marks = [
        ...(peerRoleName(role) === "voter" ? [] : [peerRoleName(role)]),
        ...(health?.downPeerIds.includes(peerId) === true ? ["down"] : []),
        ...(health?.pendingPeerIds.includes(peerId) === true ? ["pending"] : []),
      ];
      return marks.length === 0 ? String(storeId) : `${storeId}(${marks.join(",")})`;
    })
    .join(" ");
}

function healthText(health: RegionHealth | undefined): string {
  if (health === undefined) return "unknown";
  if (!health.hasQuorum) return "no quorum";
  return health.fullyReplicated ? "healthy" : "under-replicated";
}

function regionJson({ region, leader }: RegionRoute, health: RegionHealth | undefined): unknown {
  return {
    regionId: region?.regionId,
    startKey: keyText(region?.startKey ?? Buffer.alloc(0)),
    endKey: keyText(region?.endKey ?? Buffer.alloc(0)),
    epoch: region?.epoch,
    leader: leader === null ? null : { peerId: leader.peerId, storeId: leader.storeId },
    peers: region?.peers.map((peer) => ({ ...peer, role: peerRoleName(peer.role) })),
    health: health === undefined ? null : { ...health, state: healthText(health) },
  };
}

/** An operation for programs. */
export function operationJson(operation: Operation): unknown {
  return {
    ...operation,
    steps: operation.steps.map((step) => ({
      kind: stepKindName(step.kind),
      peer: step.peer === null ? null : { ...step.peer, role: peerRoleName(step.peer.role) },
      splitKey: keyText(step.splitKey),
      childRegionId: step.childRegionId,
    })),
  };
}

/** Headers of {@link operationRow}. */
export const OPERATION_HEADERS = ["ID", "REGION", "KIND", "ORIGIN", "STATE", "STEP", "AGE", "REASON"];

/** An operation for people. */
export function operationRow(operation: Operation): (string | number)[] {
  const step = operation.steps[operation.currentStep];
  const position = `${Math.min(operation.currentStep + 1, operation.steps.length)}/${operation.steps.length}`;
  return [
    operation.operationId,
    operation.regionId,
    operation.kind,
    operation.origin,
    operation.state,
    operation.state === "running" && step !== undefined ? `${position} ${stepKindName(step.kind)}` : position,
    durationText(operation.ageMs),
    [operation.reason, operation.message].filter((text) => text !== "").join("; "),
  ];
}

/** Options of operations. */
export interface OperationsOptions {
  readonly all?: boolean;
  readonly region?: string;
  readonly limit?: string;
}

/** `operations`: those under way; `--all`: the finished ones that PD remembers too. */
export async function operations(context: CommandContext, options: OperationsOptions): Promise<void> {
  const admin = await context.admin();
  const list = await admin.operations({
    includeFinished: options.all === true,
    regionId: options.region === undefined ? undefined : wholeNumber(options.region, "--region"),
    ...(options.limit === undefined ? {} : { limit: wholeNumber(options.limit, "--limit") }),
  });
  await print(context, list.map(operationJson), OPERATION_HEADERS, list.map(operationRow));
}
