/** The stores and PD members of a cluster, put together from everything that bears their names. */
import type { PersistentVolumeClaim, Pod } from "../../kube/index.js";
import type { MemberRecord, PdView, StoreRecord } from "../../plan/index.js";
import {
  INITIALISED_ANNOTATION,
  INTENT_ANNOTATION,
  NEXT_ORDINAL_ANNOTATION,
  claimName,
  describeDifference,
  ordinalOf,
  parseIntent,
  serviceName,
  type Component,
} from "../../specs/index.js";
import { isOfAnother, type ClusterObjects } from "./cluster-objects.js";
import type { Caches, ContainerRun } from "./deps.js";
import { hostOf } from "./host.js";
import { processState } from "./process-state.js";
import type { Times } from "./times.js";

/** What records are read from. */
export interface RecordSources {
  readonly objects: ClusterObjects;
  readonly caches: Caches;
  readonly times: Times;
  readonly runs: Map<string, ContainerRun>;
  readonly goneNodes: Map<string, number>;
  readonly view: PdView | undefined;
}

/** Reads off all stores, by ordinal. A store has a record while anything bears its name: its record, a volume, a pod, or PD's entry. */
export function storeRecords(sources: RecordSources): readonly StoreRecord[] {
  const { objects, view } = sources;
  const known = (view?.stores ?? []).filter(({ state }) => state !== "tombstone").map(({ name }) => name);
  return members(sources, "store", [...objects.records.keys(), ...known]).map((member): StoreRecord => {
    const { spec } = objects.records.get(member.name) ?? {};
    const pd = view?.stores.find(({ name, state }) => name === member.name && state !== "tombstone");
    return {
      ...member,
      drainedByOperator: pd?.state === "draining" && pd.drainOrigin === "operator",
      wantsDrain: spec?.drain === true,
      removeFirst: spec?.removeFirst === true,
    };
  });
}

/** Reads off all PD members, by ordinal. Those that have an id in the status have served, though nothing else may be left of them. */
export function pdRecords(sources: RecordSources): readonly MemberRecord[] {
  const { objects, view } = sources;
  const told = (objects.object.status?.pd?.list ?? []).filter(({ id }) => id !== undefined).map(({ name }) => name);
  return members(sources, "pd", view === undefined ? told : view.members.map(({ name }) => name));
}

/** Returns the lowest ordinal that was never given out, as far as is known. */
export function nextOrdinal({ objects, caches, view }: RecordSources, component: Component): number {
  const { identity } = objects;
  const service = caches.services.store.get(`${identity.namespace}/${serviceName(identity, component)}`);
  const remembered = Number(service?.metadata?.annotations?.[NEXT_ORDINAL_ANNOTATION] ?? 0);
  const names = [
    ...objects.pods[component].keys(),
    ...[...objects.claims[component].keys(), ...objects.leaving].map(memberOfClaim),
    ...(component === "store" ? [...objects.records.keys()] : []),
    ...(component === "store" ? (view?.stores ?? []) : (view?.members ?? [])).map(({ name }) => name),
  ];
  const used = names.flatMap((name) => ordinalOf(identity, component, name) ?? []);
  return Math.max(0, Number.isSafeInteger(remembered) ? remembered : 0, ...used.map((ordinal) => ordinal + 1));
}

/** Returns the claims that a member mounts, as far as they exist: data first. */
export function claimsOf(
  objects: ClusterObjects,
  component: Component,
  name: string,
): readonly PersistentVolumeClaim[] {
  const volumes =
    component === "store" && objects.desired.logStorage !== undefined
      ? (["data", "log"] as const)
      : (["data"] as const);
  return volumes.flatMap((volume) => objects.claims[component].get(claimName(name, volume)) ?? []);
}

function members(sources: RecordSources, component: Component, others: readonly string[]): readonly MemberRecord[] {
  const { objects } = sources;
  const names = new Set([
    ...others,
    ...[...objects.pods[component]].filter(([, pod]) => !isOfAnother(pod, objects.identity.uid)).map(([name]) => name),
    ...[...objects.claims[component].keys()].map(memberOfClaim),
  ]);
  return [...names]
    .flatMap((name) => {
      const ordinal = ordinalOf(objects.identity, component, name);
      return ordinal === undefined ? [] : [memberRecord(sources, component, name, ordinal)];
    })
    .sort((a, b) => a.ordinal - b.ordinal);
}

/** The member whose claim has this name; other names stay as they are. */
function memberOfClaim(name: string): string {
  return name.replace(/^(data|log)-/, "");
}

function memberRecord(sources: RecordSources, component: Component, name: string, ordinal: number): MemberRecord {
  const { objects, caches, times, runs } = sources;
  const pod = objects.pods[component].get(name);
  const claims = claimsOf(objects, component, name);
  const host = hostOf(pod, claims, sources);
  const image = pod?.spec?.containers[0]?.image;
  return {
    name,
    ordinal,
    initialised: isInitialised(sources, component, name, pod),
    process: processState({
      pod,
      clusterUid: objects.identity.uid,
      claims,
      storageClasses: [...caches.storageclasses.store.values()],
      outdated: outdated(objects, component, pod),
      times,
      runs,
    }),
    directory: directoryOf(objects, component, claims),
    ...(host === undefined ? {} : { host }),
    ...(image === undefined ? {} : { image, version: tagOf(image) }),
  };
}

function outdated({ intents }: ClusterObjects, component: Component, pod: Pod | undefined): string | undefined {
  const image = pod?.spec?.containers[0]?.image;
  if (image === undefined) return undefined;
  return describeDifference(parseIntent(pod?.metadata?.annotations?.[INTENT_ANNOTATION]), image, intents[component]);
}

/** Any proof will do, and one is enough: from then on an empty volume is a lost disk. */
function isInitialised(
  { objects, view }: RecordSources,
  component: Component,
  name: string,
  pod: Pod | undefined,
): boolean {
  // Any of its volumes: of a member that is being deleted the log may be all that is left.
  const claims = claimsOf(objects, component, name);
  if (claims.some(({ metadata }) => metadata?.annotations?.[INITIALISED_ANNOTATION] === "true")) return true;
  const isReady = pod?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
  if (component === "store") {
    if (isReady) return true;
    if (objects.records.get(name)?.status?.initialised === true) return true;
    return view?.stores.some((store) => store.name === name) === true;
  }
  if (view?.members.some((member) => member.name === name && (member.isVoter || member.isLeader)) === true) return true;
  // Caches and view are of different moments: a member that the view does not know yet has not left, it has just come.
  if (isReady && view === undefined) return true;
  const told = objects.object.status?.pd?.list?.find((member) => member.name === name);
  return told?.id !== undefined;
}

function directoryOf(
  { desired }: ClusterObjects,
  component: Component,
  claims: readonly PersistentVolumeClaim[],
): MemberRecord["directory"] {
  const wanted = component === "store" && desired.logStorage !== undefined ? 2 : 1;
  if (claims.some(({ metadata }) => metadata?.deletionTimestamp !== undefined)) return "terminating";
  if (claims.length < wanted || claims.some(({ status }) => status?.phase === "Lost")) return "missing";
  return "present";
}

/** The tag of an image reference, or the digest where there is none. */
function tagOf(image: string): string {
  const [reference = "", digest] = image.split("@", 2);
  const tag = /:([^:/]+)$/.exec(reference)?.[1];
  return tag ?? digest ?? "latest";
}
