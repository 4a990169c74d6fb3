/**
 * A PD member from its directory to serving: identity, the way into the group, engine, services. Runs on any environment; Node's main calls
 * it. Closes in reverse order.
 */
import { RheaError, type Disk, type Logger, type Net, type Scheduler } from "@rhea/common";
import type { KvEngine, StoreEnvironment } from "@rhea/store";
import type { ClusterSettings } from "../cluster/index.js";
import { Announcer, joinMembers, MemberBook } from "../members/index.js";
import {
  FIRST_MEMBER,
  markReady,
  openEngineMetadata,
  openMemberIdentity,
  setMemberId,
  type EngineMetadataOptions,
  type EngineMetadataStore,
  type MemberIdentity,
} from "../metadata/index.js";
import { createPd, type Pd } from "../service/index.js";

/** What a member is told. */
export interface MemberConfig {
  readonly clusterId: number;
  readonly name: string;
  /** `host:port` to listen on; port 0 picks a free one. */
  readonly address: string;
  /** Where others reach it; undefined: where it listens. */
  readonly advertiseAddress: string | undefined;
  readonly dataDir: string;
  /** Members to ask for a place where the directory is empty, and further places to look for members later. */
  readonly join: readonly string[];
  /** An empty directory is a lost disk. */
  readonly isExpected: boolean;
  readonly settings: ClusterSettings;
  /** Version of the build, and the highest feature level that it speaks. */
  readonly version: string;
  readonly featureLevel: number;
  readonly raft?: NonNullable<EngineMetadataOptions["raft"]>;
}

/** What a member needs beside its configuration. */
export interface MemberDependencies {
  readonly env: StoreEnvironment;
  /** Opens the key-value engine in a directory; this also locks it. */
  readonly openKv: (directory: string) => Promise<KvEngine>;
  /** Opens the status pages; `member` gives undefined until the process serves. */
  readonly openStatus: (member: () => Pd | undefined) => Promise<{ readonly address: string; close(): Promise<void> }>;
  /** A disk failed, an invariant broke, or this member was removed (STALE_IDENTITY): the process must stop. */
  readonly onFatal: (error: RheaError) => void;
  /** The cluster's log level, "" for the process's own; told when it changes. */
  readonly onLogLevel: (level: string) => void;
}

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

const CLOSE_GRACE_MS = 1000;
const HAND_OVER_MS = 3000;

/**
 * Starts a member; it serves when this resolves, and leads or follows when `ready` does. A new member that joins waits here for an answer of
 * PD's leader, with its status pages open. Throws INVALID_CONFIG, DISK_LOST, STALE_IDENTITY, LOCKED, CORRUPTION, UNAVAILABLE (address taken).
 */
export async function startMember(config: MemberConfig, dependencies: MemberDependencies): Promise<RunningPd> {
  const { env, onFatal, onLogLevel } = dependencies;
  const { disk, rng, clock, scheduler, logger } = env;
  const { clusterId, name, dataDir, settings } = config;
  for (const directory of [dataDir, `${dataDir}/snapshots`]) await prepareDirectory(disk, directory);
  const closers: (() => Promise<unknown> | undefined)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    // First of all: this takes the lock on the directory.
    const kv = await dependencies.openKv(`${dataDir}/data`);
    closers.push(() => kv.close());
    const place = { disk, rng, directory: dataDir, clusterId, name, joins: config.join.length > 0 };
    const claimed = await openMemberIdentity({ ...place, isExpected: config.isExpected });
    const made: { metadata?: EngineMetadataStore; pd?: Pd } = {};
    const status = await dependencies.openStatus(() => made.pd);
    closers.push(() => status.close());
    const book = new MemberBook(logger, { disk, directory: dataDir });
    await book.load();
    closers.push(() => book.flush());
    const identity = await idOf(claimed, config, book, env);
    const { memberId, uuid, incarnation } = identity;
    requireWanted(book, memberId);

    let advertised = config.advertiseAddress ?? "";
    const { version, featureLevel } = config;
    const self = () => ({ memberId, name, address: advertised, incarnation, uuid, version, featureLevel });
    let isMarked = identity.isReady;
    const noteChange = (): void => {
      made.pd?.noteChange();
      if (isMarked || made.metadata?.group.isLoaded !== true) return;
      isMarked = true;
      markReady(disk, dataDir, identity).catch((error: unknown) => onFatal(RheaError.from(error)));
    };
    const metadata = await openEngineMetadata({
      ...{ env, kv, clusterId, memberId, incarnation, bootNonce: rng.bytes(16) },
      ...{ logDirectory: `${dataDir}/log`, snapshotDirectory: `${dataDir}/snapshots` },
      expect: identity.isReady ? "known" : memberId === FIRST_MEMBER ? "first" : "joining",
      resolve: (id) => book.resolve(id),
      ...(config.raft === undefined ? {} : { raft: config.raft }),
      onChanged: noteChange,
      onFatal,
    });
    made.metadata = metadata;
    closers.push(() => metadata.close());
    noteChange();
    const announcer = new Announcer({
      ...{ net: env.net, book, join: config.join },
      request: () => ({ header: { clusterId }, ...self(), uuid: Buffer.from(uuid, "hex") }),
      onRefused: (error) => {
        // Later starts know it without asking anybody.
        if (error.code === "STALE_IDENTITY") book.learn([{ ...self(), state: "removed" }]);
        void book.flush().then(() => onFatal(error));
      },
    });
    const server = env.net.createServer();
    closers.push(() => server.close(CLOSE_GRACE_MS));
    const member = createPd({
      ...{ clusterId, self, book, settings, metadata, clock, scheduler, logger, onLogLevel },
      announce: () => announcer.announce(),
    });
    closers.push(() => member.close());
    member.serve(server);
    metadata.addServices(server);
    const address = await server.listen(config.address);
    advertised = config.advertiseAddress ?? address;
    made.pd = member;
    announcer.announce();
    const ready = member.untilReady();
    ready.catch(() => undefined); // who asks hears of it
    return {
      address,
      statusAddress: status.address,
      ready,
      close: async () => {
        await member.leading?.writeBehind.flush().catch(() => undefined); // it is flushed again, with its error, at the end
        await metadata.handOver(HAND_OVER_MS);
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
  config: MemberConfig,
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
    ...{ version: config.version, featureLevel: config.featureLevel },
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

async function prepareDirectory(disk: Disk, directory: string): Promise<void> {
  try {
    await disk.mkdir(directory);
  } catch (cause) {
    const { message } = RheaError.from(cause);
    throw new RheaError("DISK_FAILED", `${message}: dataDir must be a writable directory, or not exist yet`, { cause });
  }
}
