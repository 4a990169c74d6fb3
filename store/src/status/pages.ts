/** The status pages of a store process. */
import type { Clock, Disk } from "@rhea/common";
import { PeerRole } from "@rhea/proto";
import type { RunningStore } from "../process/start-store.js";
import { createStoreMetrics } from "./metrics.js";

/** A page, as the status server of common takes it. */
export interface Page {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
}

/** Pages by path. */
export type Pages = Readonly<Record<string, (query: URLSearchParams) => Promise<Page>>>;

/** Makes the pages. `store` gives undefined until the store serves: alive, not ready; `phase` says what the start is at. */
export function createPages(
  store: () => RunningStore | undefined,
  env: { readonly clock: Clock; readonly disk: Disk },
  phase: () => string,
): Pages {
  const json = (value: unknown): Page => ({
    status: 200,
    contentType: "application/json",
    body: `${JSON.stringify(value, undefined, 2)}\n`,
  });
  const starting: Page = { status: 503, body: "starting\n" };
  let metrics: ReturnType<typeof createStoreMetrics> | undefined;
  return {
    "/livez": async () => ({ status: 200, body: "ok\n" }),
    "/readyz": async (query) => {
      const running = store();
      if (running === undefined) return { status: 503, body: `starting: ${phase()}\n` };
      const checks = readiness(running);
      const isReady = checks.every(({ isFine }) => isFine);
      const lines = checks.map(({ name, isFine, detail }) => `[${isFine ? "+" : "-"}] ${name}: ${detail}\n`).join("");
      const verdict = isReady ? "ok\n" : "not ready\n";
      return { status: isReady ? 200 : 503, body: query.has("verbose") || !isReady ? lines + verdict : verdict };
    },
    "/metrics": async () => {
      const running = store();
      if (running === undefined) return starting;
      metrics ??= createStoreMetrics(running.engine, env.clock, () => env.disk.space(running.dataDirectory));
      return { status: 200, contentType: metrics.contentType, body: await metrics.metrics() };
    },
    "/debug/regions": async () => {
      const running = store();
      return running === undefined ? starting : json(describeRegions(running));
    },
    "/debug/describe": async () => {
      const running = store();
      return running === undefined ? starting : json(describeStore(running));
    },
  };
}

function readiness(store: RunningStore): { name: string; isFine: boolean; detail: string }[] {
  const faults = store.engine.faults();
  return [
    { name: "serving", isFine: !store.engine.isClosing, detail: store.engine.isClosing ? "stopping" : store.address },
    // Whoever serves has joined once; losing PD stops scheduling, not reads and writes.
    { name: "pd", isFine: true, detail: store.hasJoined() ? "accepted" : "has not answered since the start" },
    // A peer in error is PD's to replace; the store serves its other regions.
    {
      name: "faults",
      isFine: true,
      detail: faults.length === 0 ? "none" : faults.map(({ error }) => error.message).join("; "),
    },
  ];
}

function describeRegions({ engine }: RunningStore): unknown[] {
  return [...engine.internals()].map((region) => {
    const { descriptor, node } = region;
    const status = node?.status();
    return {
      regionId: region.regionId,
      peerId: region.peerId,
      state: region.fault === undefined ? region.state : "error",
      error: region.fault?.message,
      startKey: Buffer.from(descriptor.start, "latin1").toString("hex"),
      endKey: Buffer.from(descriptor.end, "latin1").toString("hex"),
      epoch: descriptor.epoch,
      peers: descriptor.peers.map(({ peerId, storeId, role }) => ({
        peerId,
        storeId,
        role: role === PeerRole.LEARNER ? "learner" : "voter",
      })),
      raft: status === undefined ? undefined : { ...status, error: status.error?.message },
      appliedIndex: region.appliedIndex,
      durableIndex: region.durableIndex,
      revision: region.revision,
      sessions: region.sessions.size,
      approximateSize: region.load.approximateSize,
      approximateKeys: region.load.approximateKeys,
    };
  });
}

function describeStore(store: RunningStore): unknown {
  const { engine, identity, address } = store;
  return {
    storeId: store.storeId,
    name: identity.name,
    clusterId: identity.clusterId,
    incarnation: identity.incarnation,
    address,
    hasJoined: store.hasJoined(),
    host: engine.host.stats(),
    log: engine.logStats(),
    overlayBytes: engine.overlayBytes,
    faults: engine
      .faults()
      .map(({ regionId, peerId, error }) => ({ regionId, peerId, code: error.code, message: error.message })),
    regions: describeRegions(store),
  };
}
