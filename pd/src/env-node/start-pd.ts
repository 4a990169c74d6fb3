/** Puts a PD member together from Node's environment. */
import { type ConfigOf, type Disk, type Logger, type Net, RheaError, type Scheduler, tlsFiles } from "@rhea/common";
import { grpcNet, nodeClock, nodeDisk, nodeRng, nodeScheduler, startStatusServer } from "@rhea/common/env-node";
import { ClusterConfig } from "@rhea/proto";
import { openLevelKv } from "@rhea/store/env-node";
import { DEFAULT_SETTINGS, mergeSettings, type ClusterSettings } from "../cluster/index.js";
import { Announcer, joinMembers, MemberBook } from "../members/index.js";
import {
  FIRST_MEMBER,
  markReady,
  openEngineMetadata,
  openMemberIdentity,
  setMemberId,
  type EngineMetadataStore,
  type MemberIdentity,
} from "../metadata/index.js";
import { createPd, type Pd } from "../service/index.js";
import type { PD_CONFIG } from "./config-schema.js";
import { statusPages } from "./status-pages.js";

/** The values of `rhea-pd`'s keys. */
export type PdConfig = ConfigOf<typeof PD_CONFIG>;

/** A running PD process. */
export interface RunningPd {
  /** Where it serves clients, stores and members. */
  readonly address: string;
  readonly statusAddress: string;
  /** Resolves when it leads, or is a voter and hears the leader. Rejects when it is closed before. */
  readonly ready: Promise<void>;
  /** Hands leadership over, refuses new calls, makes everything durable, stops. */
  close(): Promise<void>;
}

/** Version of this build, as ClusterInfo shows it. */
const VERSION = "0.1.0";
/** The highest feature level that this build speaks. */
const FEATURE_LEVEL = 1;
const CLOSE_GRACE_MS = 1000;
const HAND_OVER_MS = 3000;

/**
 * Starts a member; it serves when this resolves, and leads or follows when `ready` does. A new member that joins waits here for an answer of
 * PD's leader, with its status pages open. Throws INVALID_CONFIG, DISK_LOST, STALE_IDENTITY, LOCKED, CORRUPTION, UNAVAILABLE (address taken).
 * `onFatal`: a disk failed, an invariant broke, or this member was removed while it served. `onLogLevel`: the cluster's log level, "" for the
 * process's own.
 */
export async function startPd(
  config: PdConfig,
  logger: Logger,
  onFatal: (error: RheaError) => void,
  onLogLevel: (level: string) => void = () => undefined,
): Promise<RunningPd> {
  const settings = settingsOf(config);
  const { clusterId, name, dataDir } = config;
  const disk = nodeDisk;
  const tls = tlsFiles({
    caFile: config["tls.caFile"],
    certFile: config["tls.certFile"],
    keyFile: config["tls.keyFile"],
  });
  const env = { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk, net: grpcNet({ tls, logger }), logger };
  for (const directory of [dataDir, `${dataDir}/snapshots`]) await prepareDirectory(directory);
  const closers: (() => Promise<unknown> | undefined)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    // First of all: this takes the lock on the directory.
    const kv = await openLevelKv({ directory: `${dataDir}/data`, cacheBytes: 8 << 20, writeBufferBytes: 8 << 20 });
    closers.push(() => kv.close());
    const place = { disk, rng: nodeRng, directory: dataDir, clusterId, name, joins: config.join.length > 0 };
    const claimed = await openMemberIdentity({ ...place, isExpected: config.initialState === "existing" });
    let pd: Pd | undefined;
    const status = await startStatusServer({ address: config.statusAddress, routes: statusPages(() => pd) });
    closers.push(() => status.close());
    const book = new MemberBook(logger, { disk, directory: dataDir });
    await book.load();
    closers.push(() => book.flush());
    const identity = await idOf(claimed, config, book, env);
    const { memberId, uuid, incarnation } = identity;
    requireWanted(book, memberId);

    let advertised = config.advertiseAddress ?? "";
    const version = { version: VERSION, featureLevel: FEATURE_LEVEL };
    const self = () => ({ memberId, name, address: advertised, incarnation, uuid, ...version });
    let isMarked = identity.isReady;
    let metadata: EngineMetadataStore | undefined;
    const noteChange = (): void => {
      pd?.noteChange();
      if (isMarked || metadata?.group.isLoaded !== true) return;
      isMarked = true;
      markReady(disk, dataDir, identity).catch((error: unknown) => onFatal(RheaError.from(error)));
    };
    metadata = await openEngineMetadata({
      ...{ env, kv, clusterId, memberId, incarnation, bootNonce: nodeRng.bytes(16) },
      ...{ logDirectory: `${dataDir}/log`, snapshotDirectory: `${dataDir}/snapshots` },
      expect: identity.isReady ? "known" : memberId === FIRST_MEMBER ? "first" : "joining",
      resolve: (id) => book.resolve(id),
      onChanged: noteChange,
      onFatal,
    });
    const opened = metadata;
    closers.push(() => opened.close());
    noteChange();
    const announcer = new Announcer({
      ...{ net: env.net, book, join: config.join },
      request: () => ({ header: { clusterId }, ...self(), uuid: Buffer.from(uuid, "hex") }),
      onRefused: onFatal,
    });
    const server = env.net.createServer();
    closers.push(() => server.close(CLOSE_GRACE_MS));
    const member = createPd({
      ...{ clusterId, self, book, settings, metadata, clock: nodeClock, scheduler: nodeScheduler, logger, onLogLevel },
      announce: () => announcer.announce(),
    });
    closers.push(() => member.close());
    member.serve(server);
    metadata.addServices(server);
    const address = await server.listen(config.address);
    advertised = config.advertiseAddress ?? address;
    pd = member;
    announcer.announce();
    const ready = member.untilReady();
    ready.catch(() => undefined); // who asks hears of it
    return {
      address,
      statusAddress: status.address,
      ready,
      close: async () => {
        await member.leading?.writeBehind.flush().catch(() => undefined); // it is flushed again, with its error, at the end
        await opened.handOver(HAND_OVER_MS);
        announcer.close();
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** This member's identity with its id: a new one that joins asks PD's leader for it. */
async function idOf(
  identity: MemberIdentity,
  config: PdConfig,
  book: MemberBook,
  env: { readonly net: Net; readonly scheduler: Scheduler; readonly disk: Disk; readonly logger: Logger },
): Promise<MemberIdentity> {
  if (identity.memberId !== 0) return identity;
  const { clusterId, name, dataDir } = config;
  if (config.join.length === 0) {
    throw new RheaError(
      "INVALID_CONFIG",
      `${dataDir} belongs to PD ${name}, which was to join a cluster and has not yet: join must name PD's members`,
    );
  }
  const request = {
    ...{ header: { clusterId }, name, address: config.advertiseAddress ?? "", uuid: Buffer.from(identity.uuid, "hex") },
    ...{ version: VERSION, featureLevel: FEATURE_LEVEL },
  };
  const { memberId, members } = await joinMembers({ ...env, addresses: config.join, request });
  book.learn(members);
  await book.flush();
  return setMemberId(env.disk, dataDir, identity, memberId);
}

function requireWanted(book: MemberBook, memberId: number): void {
  if (book.get(memberId)?.state !== "removed") return;
  throw new RheaError(
    "STALE_IDENTITY",
    `PD member ${memberId} was removed from the cluster for good: delete its data directory`,
  );
}

async function prepareDirectory(dataDir: string): Promise<void> {
  try {
    await nodeDisk.mkdir(dataDir);
  } catch (cause) {
    const { message } = RheaError.from(cause);
    throw new RheaError("DISK_FAILED", `${message}: dataDir must be a writable directory, or not exist yet`, { cause });
  }
}

/** Turns configuration into settings; what cannot be is INVALID_CONFIG. */
function settingsOf(config: PdConfig): ClusterSettings {
  const base = { ...DEFAULT_SETTINGS, locationLabels: config["schedule.locationLabels"] };
  const update = ClusterConfig.encode({
    replicas: config.replicas,
    repair: config.repair,
    regionMaxBytes: config["region.maxBytes"],
    regionMaxKeys: config["region.maxKeys"],
    maxDownTimeMs: config["schedule.maxDownTimeMs"],
    disconnectedAfterMs: config["schedule.disconnectedAfterMs"],
    operationLimit: config["schedule.operationLimit"],
    schedulingPaused: config["schedule.isPaused"],
    leaderBalanceLimit: config["schedule.leaderBalanceLimit"],
    regionBalanceLimit: config["schedule.regionBalanceLimit"],
  }).finish();
  try {
    return mergeSettings(base, ClusterConfig.decode(update));
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", RheaError.from(cause).message, { cause });
  }
}
