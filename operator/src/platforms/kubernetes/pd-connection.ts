/** PD's view of a cluster, asked over a connection that is kept. */
import { RheaError } from "@rhea/common";
import type { Secret } from "../../kube/index.js";
import type { PdView } from "../../plan/index.js";
import { PORTS, clientSecretName, memberAddress, serviceAddress } from "../../specs/index.js";
import { readPdView } from "../pd-view.js";
import type { ClusterObjects } from "./cluster-objects.js";
import type { ClusterMemory, PdCalls, PdCredentials, PdTarget, PlatformDeps } from "./deps.js";

/** An answer older than this is asked for anew. Events of Kubernetes come in bursts. */
const REUSE_MS = 400;
const TIMEOUT_MS = 1_500;
/** What kept PD from answering is told until it has not been met for this long: members that fail differently are asked in turn. */
const ERROR_HOLD_MS = 15_000;
const MAX_ERROR_LENGTH = 200;

type Deps = Pick<PlatformDeps, "caches" | "clock" | "connectPd" | "logger">;

/** Asks PD if any member can answer. Never fails: what is returned may be old, and its age says so. */
export async function pollPd(deps: Deps, objects: ClusterObjects, memory: ClusterMemory): Promise<PdView | undefined> {
  const { clock } = deps;
  const isFresh =
    !memory.isViewOutdated && memory.view !== undefined && clock.monotonicMs() - memory.view.atMs < REUSE_MS;
  if (!canAnswer(deps, objects)) {
    memory.pdError = undefined; // it is not asked: what runs and what does not says it all
  } else if (!isFresh) {
    const atMs = clock.monotonicMs();
    try {
      memory.view = { value: await readPdView(pdCalls(deps, objects, memory), TIMEOUT_MS), atMs };
      memory.isViewOutdated = false;
      memory.pdError = undefined;
      memory.pdFailures = 0;
    } catch (error) {
      const text = describeError(RheaError.from(error));
      deps.logger.log("debug", "pd does not answer", { cluster: objects.key, error: text });
      memory.pdError = holdError(memory.pdError, text, clock.monotonicMs());
      dropPd(memory); // a fresh connection does not wait out the back-off of a broken one
      memory.pdFailures++; // and begins with another member: the first may be on a node that is gone
    }
  }
  if (memory.view === undefined) return undefined;
  return { ...memory.view.value, ageMs: clock.monotonicMs() - memory.view.atMs };
}

/** Says what went wrong in one line. That the time for repeating a call ran out is not it: what failed each time is. */
function describeError(error: RheaError): string {
  const { code, message } =
    error.code === "DEADLINE_EXCEEDED" && error.cause instanceof RheaError ? error.cause : error;
  const text = `${code}: ${message.replace(/\s+/g, " ").trim()}`;
  return text.length <= MAX_ERROR_LENGTH ? text : `${text.slice(0, MAX_ERROR_LENGTH - 1)}…`;
}

/** Keeps the text while the same error is met now and then, with whatever numbers, so that the status does not change all the time. */
function holdError(last: ClusterMemory["pdError"], text: string, nowMs: number): NonNullable<ClusterMemory["pdError"]> {
  const shape = (words: string): string => words.replace(/\d+(\.\d+)?/g, "0");
  if (last !== undefined && shape(last.text) === shape(text)) return { text: last.text, seenMs: nowMs };
  return last !== undefined && nowMs - last.seenMs < ERROR_HOLD_MS ? last : { text, seenMs: nowMs };
}

/** Returns the calls to the cluster's PD, over a new connection when its members or the certificate have changed. */
export function pdCalls(deps: Deps, objects: ClusterObjects, memory: ClusterMemory): PdCalls {
  const target = targetOf(deps, objects, memory);
  const identity = [...[...target.addresses].sort(), target.tls?.cert ?? "", target.tls?.ca ?? ""].join(" ");
  if (memory.pd?.identity === identity) return memory.pd.calls;
  dropPd(memory);
  const calls = deps.connectPd(target);
  memory.pd = { identity, calls };
  return calls;
}

/** Closes the connection; the next call makes a new one. */
export function dropPd(memory: ClusterMemory): void {
  memory.pd?.calls.close();
  memory.pd = undefined;
}

function canAnswer({ caches }: Deps, { pods, desired, identity }: ClusterObjects): boolean {
  const secret = caches.secrets.store.get(`${identity.namespace}/${clientSecretName(identity)}`);
  if (desired.tls.isEnabled && credentialsOf(secret) === undefined) return false;
  return [...pods.pd.values()].some(({ status }) => status?.containerStatuses?.[0]?.state?.running !== undefined);
}

function targetOf({ caches }: Deps, objects: ClusterObjects, memory: ClusterMemory): PdTarget {
  const { key, identity, desired } = objects;
  const members = inOrderOfHope(objects, memory).map((name) => memberAddress(identity, "pd", name));
  const addresses = members.length > 0 ? members : [serviceAddress(identity, "pd")];
  const secret = caches.secrets.store.get(`${identity.namespace}/${clientSecretName(identity)}`);
  const tls = desired.tls.isEnabled ? credentialsOf(secret) : undefined;
  return {
    clusterKey: key,
    clusterId: identity.clusterId,
    addresses,
    dial: (address) => {
      const name = address.split(".", 1)[0] ?? "";
      const podIP = caches.pods.store.get(`${identity.namespace}/${name}`)?.status?.podIP;
      return podIP === undefined ? address : `${podIP.includes(":") ? `[${podIP}]` : podIP}:${PORTS.pd}`;
    },
    ...(tls === undefined ? {} : { tls }),
  };
}

/** Names the members: the ready ones first, of those the one that led last; each failure moves on to the next. */
function inOrderOfHope({ pods }: ClusterObjects, { view, pdFailures }: ClusterMemory): readonly string[] {
  const leader = view?.value.members.find(({ isLeader }) => isLeader)?.name;
  const rank = (name: string) => {
    const conditions = pods.pd.get(name)?.status?.conditions ?? [];
    const isReady = conditions.some(({ type, status }) => type === "Ready" && status === "True");
    return (isReady ? 0 : 2) + (name === leader ? 0 : 1);
  };
  const names = [...pods.pd.keys()].sort().sort((a, b) => rank(a) - rank(b));
  const first = names.length === 0 ? 0 : pdFailures % names.length;
  return [...names.slice(first), ...names.slice(0, first)];
}

function credentialsOf(secret: Secret | undefined): PdCredentials | undefined {
  const text = (name: string) => Buffer.from(secret?.data?.[name] ?? "", "base64").toString("utf8");
  const [ca, cert, key] = [text("ca.crt"), text("tls.crt"), text("tls.key")];
  return ca === "" || cert === "" || key === "" ? undefined : { ca, cert, key };
}
