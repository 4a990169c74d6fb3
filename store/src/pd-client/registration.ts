/** A store's way into the cluster: its id, its entry in PD's list, and the race for the first region. */
import { RheaError, readWholeFile, replaceFile, type Disk, type Rng } from "@rhea/common";
import { PdMethods, StoreState, type StoreInit } from "@rhea/proto";
import { createIdentity, type IdentityDirectories } from "@rhea/raft";
import type { StoreEngineCore } from "../engine/store-engine.js";
import { descriptorToProto } from "../format/descriptor.js";
import type { PdChannel } from "./pd-channel.js";

/** A first start waits this long for PD before it gives up. */
const FIRST_CONTACT_MS = 120_000;
const CALL_MS = 10_000;
/** The part of a channel to PD that registration uses. */
export type PdCalls = Pick<PdChannel, "call">;

const PREPARING = "preparing.json";

/**
 * Gets a store id for a store that has none and writes its identity. Throws DISK_LOST if PD knows a store of this name: then this disk
 * was lost, and going on would mean a second vote.
 */
export async function enlist(
  pd: PdCalls,
  places: IdentityDirectories,
  who: { readonly clusterId: number; readonly name: string },
  rng: Rng,
): Promise<void> {
  const header = { clusterId: who.clusterId };
  const info = await pd.call(PdMethods.ClusterInfo, { header }, FIRST_CONTACT_MS);
  if (info.clusterId !== who.clusterId) {
    throw new RheaError(
      "CLUSTER_MISMATCH",
      `PD is of cluster ${info.clusterId}, the configuration says ${who.clusterId}`,
    );
  }
  const { stores } = await pd.call(PdMethods.GetStores, { header }, CALL_MS);
  const known = stores.find(
    ({ store }) => store?.name === who.name && store.state !== StoreState.STORE_TOMBSTONE,
  )?.store;
  if (known !== undefined && known !== null) {
    throw new RheaError(
      "DISK_LOST",
      `PD knows ${who.name} as store ${known.storeId}, but ${places.dataDirectory} has no identity: its disk was lost; ` +
        "replace it under a new name",
    );
  }
  const { firstId } = await pd.call(PdMethods.AllocId, { header, count: 1 }, CALL_MS);
  await createIdentity(places, { ...who, storeId: firstId, uuid: rng.bytes(16).toString("hex") });
}

/** What {@link joinCluster} needs. */
export interface JoinOptions {
  readonly pd: PdCalls;
  readonly engine: StoreEngineCore;
  readonly store: StoreInit;
  readonly clusterId: number;
  readonly disk: Disk;
  readonly dataDirectory: string;
}

/** Announces the store and, where the cluster has no region yet, offers its own first one. Repeatable at every start. */
export async function joinCluster(options: JoinOptions): Promise<void> {
  const { pd, store, clusterId, engine } = options;
  const header = { clusterId };
  await pd.call(PdMethods.PutStore, { header, store }, CALL_MS);
  const preparing = await readPreparing(options);
  const info = await pd.call(PdMethods.ClusterInfo, { header }, CALL_MS);
  if (info.bootstrapped && preparing === undefined) return;
  const { regionId, peerId } = preparing ?? (await newIds(options));
  if (engine.region(regionId) === undefined) {
    const voters = [{ peerId, storeId: engine.storeId }];
    const everything = { startKey: new Uint8Array(0), endKey: new Uint8Array(0) };
    try {
      await engine.createRegion({ regionId, ...everything, voters });
    } catch (error) {
      if (RheaError.from(error).code !== "ALREADY_EXISTS") throw error;
      // It was made here and is gone: another store won, and a crash came between the tombstone and the end of the note.
      await forgetPreparing(options);
      if (info.bootstrapped) return;
      throw error;
    }
  }
  const descriptor = engine.region(regionId)?.descriptor;
  if (descriptor === undefined) throw new RheaError("REGION_NOT_FOUND", `the first region ${regionId} went away`);
  const region = { ...descriptorToProto(descriptor), epoch: { confVer: 1, version: 1 } };
  const outcome = await pd.call(PdMethods.Bootstrap, { header, store, region }, CALL_MS);
  if (!outcome.won && outcome.region?.regionId !== regionId) await engine.discardRegion(regionId);
  await forgetPreparing(options);
}

async function forgetPreparing({ disk, dataDirectory }: JoinOptions): Promise<void> {
  await disk.remove(`${dataDirectory}/${PREPARING}`);
  await disk.syncDir(dataDirectory);
}

interface Preparing {
  readonly regionId: number;
  readonly peerId: number;
}

/** The note that a first region was made here and PD has not said yet whose counts. */
async function readPreparing({ disk, dataDirectory }: JoinOptions): Promise<Preparing | undefined> {
  const path = `${dataDirectory}/${PREPARING}`;
  if ((await disk.stat(path)) === undefined) return undefined;
  return JSON.parse((await readWholeFile(disk, path)).toString()) as Preparing;
}

async function newIds(options: JoinOptions): Promise<Preparing> {
  const { firstId } = await options.pd.call(
    PdMethods.AllocId,
    { header: { clusterId: options.clusterId }, count: 2 },
    CALL_MS,
  );
  const preparing = { regionId: firstId, peerId: firstId + 1 };
  await replaceFile(options.disk, options.dataDirectory, PREPARING, Buffer.from(JSON.stringify(preparing)));
  return preparing;
}
