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

type Deps = Pick<PlatformDeps, "caches" | "clock" | "connectPd" | "logger">;

/** Asks PD if any member can answer. Never fails: what is returned may be old, and its age says so. */
export async function pollPd(deps: Deps, objects: ClusterObjects, memory: ClusterMemory): Promise<PdView | undefined> {
  const { clock } = deps;
  const isFresh =
    !memory.isViewOutdated && memory.view !== undefined && clock.monotonicMs() - memory.view.atMs < REUSE_MS;
  if (!isFresh && canAnswer(deps, objects)) {
    const atMs = clock.monotonicMs();
    try {
      memory.view = { value: await readPdView(pdCalls(deps, objects, memory), TIMEOUT_MS), atMs };
      memory.isViewOutdated = false;
    } catch (error) {
      deps.logger.log("debug", "pd does not answer", { cluster: objects.key, error: RheaError.from(error).message });
      dropPd(memory); // a fresh connection does not wait out the back-off of a broken one
    }
  }
  if (memory.view === undefined) return undefined;
  return { ...memory.view.value, ageMs: clock.monotonicMs() - memory.view.atMs };
}

/** Returns the calls to the cluster's PD, over a new connection when its members or the certificate have changed. */
export function pdCalls(deps: Deps, objects: ClusterObjects, memory: ClusterMemory): PdCalls {
  const target = targetOf(deps, objects);
  const identity = [...target.addresses, target.tls?.cert ?? "", target.tls?.ca ?? ""].join(" ");
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

function targetOf({ caches }: Deps, { key, identity, pods, desired }: ClusterObjects): PdTarget {
  const members = [...pods.pd.keys()].sort().map((name) => memberAddress(identity, "pd", name));
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

function credentialsOf(secret: Secret | undefined): PdCredentials | undefined {
  const text = (name: string) => Buffer.from(secret?.data?.[name] ?? "", "base64").toString("utf8");
  const [ca, cert, key] = [text("ca.crt"), text("tls.crt"), text("tls.key")];
  return ca === "" || cert === "" || key === "" ? undefined : { ca, cert, key };
}
