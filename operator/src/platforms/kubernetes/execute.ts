/** Does what the plan says, one action at a time. Every action may be repeated: names are fixed and what is done already is left alone. */
import { RheaError } from "@rhea/common";
import { RESOURCES } from "../../kube/index.js";
import type { Action, MemberRecord, Observed } from "../../plan/index.js";
import {
  buildPdPod,
  buildRheaStore,
  buildStorePod,
  buildVolumeClaim,
  claimName,
  tlsSecretName,
  type Component,
} from "../../specs/index.js";
import type { ClusterObjects } from "./cluster-objects.js";
import { STORES, type PdCalls, type PlatformDeps } from "./deps.js";
import { claimsOf } from "./records.js";
import type { Writer } from "./writer.js";

/** What actions are done with. */
export interface ExecuteContext {
  readonly deps: Pick<PlatformDeps, "caches" | "settings">;
  readonly objects: ClusterObjects;
  readonly observed: Observed;
  readonly writer: Writer;
  /** Whether what was seen still holds, so that the next action may be done. */
  readonly isCurrent: () => boolean;
  /** Calls to PD; made when the first is needed. */
  readonly pd: () => PdCalls;
}

const origin = { origin: "operator" } as const;

/** @throws {RheaError} what PD or the API server answered, DISK_LOST where a volume that held data is gone */
export async function execute(context: ExecuteContext, action: Action): Promise<void> {
  const { pd } = context;
  switch (action.kind) {
    case "addPd":
    case "startPd":
      return start(context, "pd", action.name, action.isFirst);
    case "addStore":
      await ensureRecord(context, action.name, action.ordinal);
      return start(context, "store", action.name, false);
    case "startStore":
      return start(context, "store", action.name, false);
    case "stopProcess":
    case "restartProcess": // once its pod is gone, the plan starts it
      return stop(context, action.name);
    case "deletePd":
      return deleteMember(context, "pd", action.name);
    case "deleteStore":
      return deleteMember(context, "store", action.name);
    case "removePdMember":
      return pd().removeMember(action.name, origin);
    case "transferPdLeader":
      return pd().transferPdLeader(action.toName, origin);
    case "evictLeaders":
      await pd().evictLeaders(action.storeId, { ...origin, ttlMs: action.ttlMs });
      return;
    case "releaseLeaders":
      await pd().releaseLeaders(action.storeId, origin);
      return;
    case "drainStore":
      await pd().drainStore(action.storeId, origin);
      return;
    case "cancelDrain":
      await pd().cancelDrain(action.storeId, origin);
      return;
    case "removeStore":
      await pd().removeStore(action.storeId, { ...origin, force: action.force });
      return;
    case "replacePeer":
      await pd().addOperation({
        kind: "replace-peer",
        regionId: action.regionId,
        fromStoreId: action.fromStoreId,
        storeId: action.toStoreId,
        origin: "operator",
        reason: action.reason,
      });
      return;
    case "reportDiskLost":
      await pd().reportDiskLost(action.storeId, { ...origin, reason: action.reason });
      return;
    case "setClusterConfig":
      await pd().setClusterConfig(action.config);
      return;
  }
}

/** Whether an action is a call to PD; the others are done in Kubernetes. */
export function asksPd({ kind }: Action): boolean {
  switch (kind) {
    case "addPd":
    case "startPd":
    case "addStore":
    case "startStore":
    case "stopProcess":
    case "restartProcess":
    case "deletePd":
    case "deleteStore":
      return false;
    case "removePdMember":
    case "transferPdLeader":
    case "evictLeaders":
    case "releaseLeaders":
    case "drainStore":
    case "cancelDrain":
    case "removeStore":
    case "replacePeer":
    case "reportDiskLost":
    case "setClusterConfig":
      return true;
  }
}

async function ensureRecord({ objects, writer }: ExecuteContext, name: string, ordinal: number): Promise<void> {
  if (objects.records.has(name)) return;
  await writer.create(STORES, buildRheaStore(objects.identity, name, ordinal));
}

/** Makes the pod be there. A pod that has ended for good, or that waits with outdated settings, goes first; the next pass makes the new one. */
async function start(context: ExecuteContext, component: Component, name: string, isFirst: boolean): Promise<void> {
  const { objects, writer } = context;
  const pod = objects.pods[component].get(name);
  const record = recordOf(context, name);
  if (pod !== undefined) {
    const hasEnded = pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded";
    const { process } = record ?? {};
    const waitsInVain = (process?.kind === "pending" || process?.kind === "exited") && process.outdated !== undefined;
    if (hasEnded || waitsInVain) await writer.remove(RESOURCES.pods, pod);
    return;
  }
  if (!(await ensureClaims(context, component, name, record))) return;
  const { identity, desired, intents } = objects;
  const image = desired.image ?? context.deps.settings.defaultImage;
  const common = { cluster: identity, desired, name, image, intent: intents[component] };
  const isInitialised = record?.initialised === true;
  const others = context.observed.pds.filter((other) => other.name !== name).map((other) => other.name);
  await writer.create(
    RESOURCES.pods,
    component === "store"
      ? buildStorePod(common)
      : buildPdPod({ ...common, isInitialised, isFirst: isFirst && !isInitialised, others }),
  );
}

/** Returns false where a claim is on its way out: a pod on it would be stuck. */
async function ensureClaims(
  { objects, writer }: ExecuteContext,
  component: Component,
  name: string,
  record: MemberRecord | undefined,
): Promise<boolean> {
  const { identity, desired } = objects;
  if (claimsOf(objects, component, name).some(({ metadata }) => metadata?.deletionTimestamp !== undefined))
    return false;
  for (const { volume, demand } of volumesOf(objects, component)) {
    if (objects.claims[component].has(claimName(name, volume))) continue;
    if (record?.initialised === true) {
      throw new RheaError(
        "DISK_LOST",
        `${name}: the claim ${claimName(name, volume)} is gone and held its data; it is not started without it`,
      );
    }
    const isOwned = desired.deletionPolicy === "Delete";
    await writer.create(
      RESOURCES.persistentVolumeClaims,
      buildVolumeClaim(identity, component, name, volume, demand, isOwned),
    );
  }
  return true;
}

/** Returns the volumes that a member of a component has. */
export function volumesOf(
  { desired }: ClusterObjects,
  component: Component,
): readonly {
  readonly volume: "data" | "log";
  readonly demand: { readonly size: string; readonly className?: string };
}[] {
  if (component === "pd") return [{ volume: "data", demand: desired.pdStorage }];
  return [
    { volume: "data", demand: desired.storeStorage ?? { size: "10Gi" } },
    ...(desired.logStorage === undefined ? [] : [{ volume: "log" as const, demand: desired.logStorage }]),
  ];
}

async function stop(context: ExecuteContext, name: string): Promise<void> {
  const { objects, writer } = context;
  const pod = objects.pods.store.get(name) ?? objects.pods.pd.get(name);
  if (pod !== undefined) await writer.remove(RESOURCES.pods, pod, forcedGrace(recordOf(context, name)));
}

/** Pod, then volumes, then certificate; the record goes last, so that whoever continues knows what is left to do. */
async function deleteMember(context: ExecuteContext, component: Component, name: string): Promise<void> {
  const { objects, writer, deps } = context;
  const record = recordOf(context, name);
  const pod = objects.pods[component].get(name);
  let isGone = true;
  if (pod !== undefined) {
    // It is out of the cluster for good, so nobody waits for a node that does not answer.
    const grace = record?.host !== undefined && record.host.state !== "ready" ? 0 : undefined;
    isGone = await writer.remove(RESOURCES.pods, pod, grace);
  }
  for (const claim of claimsOf(objects, component, name))
    isGone = (await writer.remove(RESOURCES.persistentVolumeClaims, claim)) && isGone;
  const secret = deps.caches.secrets.store.get(`${objects.identity.namespace}/${tlsSecretName(name)}`);
  if (secret !== undefined) await writer.remove(RESOURCES.secrets, secret);
  const own = objects.records.get(name);
  if (own !== undefined && isGone) await writer.remove(STORES, own);
}

/** A node that does not exist any more stops nothing in order. */
function forcedGrace(record: MemberRecord | undefined): number | undefined {
  return record?.host?.state === "gone" ? 0 : undefined;
}

function recordOf({ observed }: ExecuteContext, name: string): MemberRecord | undefined {
  return observed.stores.find((store) => store.name === name) ?? observed.pds.find((pd) => pd.name === name);
}
