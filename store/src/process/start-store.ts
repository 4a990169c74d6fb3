/**
 * A store from its directories to serving: identity, engine, services, PD. Runs on any environment; the Node main and the simulator call
 * it. Closes in reverse order.
 */
import { RheaError, type Disk, type RpcServer } from "@rhea/common";
import { StoreState, type StoreInit } from "@rhea/proto";
import {
  claimIdentity,
  createIdentity,
  readIdentity,
  verifyIdentity,
  watchIdentity,
  type ClaimedIdentity,
  type IdentityDirectories,
} from "@rhea/raft";
import type { InitialRegion, StoreEnvironment } from "../engine/api.js";
import { openEngine } from "../engine/open-store-engine.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import { REGION_RANGE } from "../format/keys.js";
import type { KvEngine } from "../kv/engine.js";
import { AddressBook } from "../pd-client/address-book.js";
import { PdChannel } from "../pd-client/pd-channel.js";
import { PdClient } from "../pd-client/pd-client.js";
import { enlist } from "../pd-client/registration.js";
import { createStoreMeasure } from "../pd-client/store-stats.js";
import type { StoreConfig } from "./config.js";
import type { FakePd } from "./fake-pd.js";

/** What a store needs beside its configuration. */
export interface StoreDependencies {
  readonly env: StoreEnvironment;
  /** Opens the key-value engine in a directory; this also locks it. */
  readonly openKv: (directory: string) => Promise<KvEngine>;
  /** Set: no PD. */
  readonly fakePd: FakePd | undefined;
  /** Known before the start: the status pages' address for PD's list. */
  readonly statusAddress: string;
  /** The level that the cluster wants logged, "" for the process's own. */
  readonly onLogLevel?: (level: string) => void;
  /** Told what the start is at, for the status pages. */
  readonly onPhase?: (phase: string) => void;
  /** The process must stop with this error's exit code, at once. */
  readonly onFatal: (error: RheaError) => void;
}

/** A store that serves. */
export interface RunningStore {
  readonly storeId: number;
  readonly identity: ClaimedIdentity;
  /** Bound `host:port`. */
  readonly address: string;
  readonly engine: StoreEngineCore;
  readonly dataDirectory: string;
  /** Whether PD (or the fake) has accepted the store. */
  readonly hasJoined: () => boolean;
  /** Hands leaders away, stops accepting, makes everything durable, releases the directories. */
  close(): Promise<void>;
}

const VERSION = "0.1.0";
const FEATURE_LEVEL = 1;
const SERVER_GRACE_MS = 200;
/** A failed disk may not answer at all. */
const VERIFY_MS = 500;

/** Starts a store and resolves once it serves (and, at its very first start, once PD has accepted it). */
export async function startStore(config: StoreConfig, dependencies: StoreDependencies): Promise<RunningStore> {
  const { env, fakePd, onFatal, onPhase = () => undefined } = dependencies;
  const { disk, net, clock, scheduler, rng, logger } = env;
  const dataDirectory = `${config.dataDir}/data`;
  const places: IdentityDirectories = { disk, dataDirectory, logDirectory: config.logDir ?? `${config.dataDir}/log` };
  if (fakePd === undefined && config.pd.length === 0) {
    throw new RheaError("INVALID_CONFIG", "neither pd (addresses of PD's members) nor fakePd (a file) is configured");
  }
  for (const directory of [places.dataDirectory, places.logDirectory, `${dataDirectory}/snapshots`]) {
    await prepareDirectory(disk, directory);
  }
  const other = config.engine === "memory" ? "leveldb" : "memory";
  if ((await disk.stat(`${dataDirectory}/${other}`)) !== undefined) {
    throw new RheaError(
      "INVALID_CONFIG",
      `${dataDirectory} was made with engine ${other}; a store's engine cannot be changed`,
    );
  }
  onPhase("opens its data");
  const kv = await dependencies.openKv(`${dataDirectory}/${config.engine}`);
  const pd = fakePd === undefined ? new PdChannel({ net, clock, scheduler, addresses: config.pd }) : undefined;
  const closers: (() => Promise<void> | void)[] = [() => kv.close()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const isNew = (await readIdentity(places)) === undefined;
    if (isNew) onPhase("asks PD for a store id");
    if (isNew) await makeIdentity(config, dependencies, places, kv, pd);
    const identity = await claimIdentity(places);
    if (identity.clusterId !== config.clusterId) {
      throw new RheaError(
        "CLUSTER_MISMATCH",
        `${config.dataDir} is of cluster ${identity.clusterId}, not ${config.clusterId}`,
      );
    }
    if (identity.name !== config.name) {
      throw new RheaError("INVALID_CONFIG", `${config.dataDir} is of store "${identity.name}", not "${config.name}"`);
    }
    const watch = watchIdentity(places, identity, scheduler, onFatal);
    // A disk that fails because it is gone is lost, which calls for another repair than one that fails.
    const onEngineFatal = (error: RheaError): void => {
      if (error.code !== "DISK_FAILED") {
        onFatal(error);
        return;
      }
      const verdict = verifyIdentity(places, identity);
      const limit = new Promise<undefined>((resolve) => scheduler.setTimer(VERIFY_MS, () => resolve(undefined)));
      void Promise.race([verdict, limit]).then((lost) => onFatal(lost ?? error));
    };
    closers.push(() => watch.close());

    const addresses = new AddressBook(disk, dataDirectory, logger);
    await addresses.load();
    addresses.update((fakePd?.stores ?? []).map((store) => fullStore({ ...store, state: StoreState.STORE_UP })));
    const bootNonce = rng.bytes(16);
    let pdClient: PdClient | undefined;
    onPhase("recovers its log");
    const engine = await openEngine({
      env,
      clusterId: config.clusterId,
      storeId: identity.storeId,
      incarnation: identity.incarnation,
      newestLogIncarnation: identity.previousIncarnation,
      bootNonce,
      kv,
      logDirectory: places.logDirectory,
      snapshotDirectory: `${dataDirectory}/snapshots`,
      initialRegions: initialRegions(fakePd, identity.storeId),
      limits: { overlayBytes: config["overlay.maxBytes"], reserveBytes: config["disk.reserveBytes"] },
      raft: {
        tickMs: config["raft.tickMs"],
        electionTicks: config["raft.electionTicks"],
        heartbeatTicks: config["raft.heartbeatTicks"],
      },
      resolveStore: (storeId) => addresses.resolve(storeId),
      storeBook: () => addresses.all(),
      onRegionChanged: (regionId) => pdClient?.regionChanged(regionId),
      onRecovering: (segment, segments) => onPhase(`recovers its log, segment ${segment} of ${segments}`),
      onFatal: onEngineFatal,
    });
    closers.push(() => engine.close());

    const server: RpcServer = net.createServer();
    engine.addServices(server);
    const address = await server.listen(config.address);
    const store: StoreInit = {
      storeId: identity.storeId,
      name: identity.name,
      address: config.advertiseAddress ?? address,
      statusAddress: dependencies.statusAddress,
      uuid: Buffer.from(identity.uuid, "hex"),
      incarnation: identity.incarnation,
      bootNonce,
      labels: config.labels,
      version: VERSION,
      featureLevel: FEATURE_LEVEL,
    };
    addresses.update([fullStore(store)]);

    onPhase("asks PD to be accepted");
    if (pd !== undefined) {
      const measure = createStoreMeasure({ engine, disk, clock, dataDirectory });
      const options = { env, pd, engine, addresses, clusterId: config.clusterId, store, dataDirectory, measure };
      pdClient = new PdClient({ ...options, onLogLevel: dependencies.onLogLevel, onRefused: onFatal });
      const joined = pdClient.start();
      if (isNew) await joined;
    }
    const client = pdClient;
    return {
      storeId: identity.storeId,
      identity,
      address,
      engine,
      dataDirectory,
      hasJoined: () => client?.hasJoined ?? true,
      close: async () => {
        client?.drainLeaders();
        await engine.host.transferAllLeaders(config["shutdown.transferMs"]);
        client?.close();
        await server.close(SERVER_GRACE_MS);
        await closeAll();
      },
    };
  } catch (error) {
    pd?.close();
    await closeAll();
    throw error;
  }
}

async function prepareDirectory(disk: Disk, directory: string): Promise<void> {
  try {
    await disk.mkdir(directory);
  } catch (cause) {
    const { message } = RheaError.from(cause);
    throw new RheaError(
      "DISK_FAILED",
      `${message}: dataDir and logDir must be writable directories, or not exist yet`,
      {
        cause,
        details: { file: directory },
      },
    );
  }
}

/** Gives a store without identity one, or finds out that it must not have one. */
async function makeIdentity(
  config: StoreConfig,
  { env, fakePd }: StoreDependencies,
  places: IdentityDirectories,
  kv: KvEngine,
  pd: PdChannel | undefined,
): Promise<void> {
  const leftovers = kv.iterate(REGION_RANGE);
  const hasRegions = (await leftovers.next(1)).length > 0;
  await leftovers.close();
  if (hasRegions || fakePd?.initialState === "existing") {
    throw new RheaError(
      "DISK_LOST",
      `${config.dataDir} has no identity but ${hasRegions ? "holds regions" : "the store is said to exist already"}: replace it under a new name`,
    );
  }
  if (pd !== undefined) {
    await enlist(pd, places, { clusterId: config.clusterId, name: config.name }, env.rng);
    return;
  }
  const own = fakePd?.stores.find((store) => store.name === config.name);
  if (own === undefined) throw new RheaError("INVALID_CONFIG", `fakePd lists no store named "${config.name}"`);
  const uuid = env.rng.bytes(16).toString("hex");
  await createIdentity(places, { clusterId: config.clusterId, storeId: own.storeId, name: config.name, uuid });
}

function initialRegions(fakePd: FakePd | undefined, storeId: number): InitialRegion[] {
  return (fakePd?.regions ?? []).filter(({ voters }) => voters.some((voter) => voter.storeId === storeId));
}

function fullStore(store: StoreInit): Parameters<AddressBook["update"]>[0][number] {
  return {
    storeId: store.storeId ?? 0,
    name: store.name ?? "",
    address: store.address ?? "",
    statusAddress: store.statusAddress ?? "",
    uuid: store.uuid ?? new Uint8Array(0),
    incarnation: store.incarnation ?? 0,
    bootNonce: store.bootNonce ?? new Uint8Array(0),
    state: store.state ?? StoreState.STORE_UP,
    labels: { ...store.labels },
    version: store.version ?? "",
    featureLevel: store.featureLevel ?? 0,
    raftAddress: store.raftAddress ?? "",
  };
}
