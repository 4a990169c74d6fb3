/** What PD hears of the regions that this store leads: changes at once, progress while a peer catches up, load now and then. */
import type { Clock } from "@rhea/common";
import { PeerRole, type RegionStatsInit } from "@rhea/proto";
import type { PeerStatus } from "@rhea/raft";
import type { RegionHandle } from "../engine/api.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import { descriptorToProto } from "../format/descriptor.js";

/** A peer that was silent for this long is reported as down. */
const DOWN_AFTER_MS = 10_000;
/** A region with traffic is reported at least this often. */
const LOAD_INTERVAL_MS = 5_000;
/** Regions looked at per round for silent changes (a peer that went down, one that caught up). */
const LOOKS_PER_ROUND = 200;

interface Reported {
  /** What of the report is news when it changes. */
  fingerprint: string;
  /** When the counters were taken last; Unix ms for PD, monotonic for us. */
  sinceWallMs: number;
  sinceMs: number;
  /** A peer is down or behind: look again each round. */
  isUnsettled: boolean;
}

/** Remembers what was reported and makes the next reports. */
export class RegionReports {
  readonly #engine: StoreEngineCore;
  readonly #clock: Clock;
  readonly #reported = new Map<number, Reported>();
  readonly #changed = new Set<number>();
  #cursor = 0;

  constructor(engine: StoreEngineCore, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /** Notes that a region has to be reported with the next round. */
  changed(regionId: number): void {
    this.#changed.add(regionId);
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** Everything that this store leads; after it nothing is left to tell. */
  full(): RegionStatsInit[] {
    this.#changed.clear();
    return this.#engine.regions().flatMap((region) => this.#report(region, true) ?? []);
  }

  /** News since the last call. */
  round(): RegionStatsInit[] {
    const due = new Set(this.#changed);
    const forced = new Set(this.#changed);
    this.#changed.clear();
    const ids = [...this.#reported.keys()];
    for (const [regionId, { isUnsettled }] of this.#reported) if (isUnsettled) due.add(regionId);
    for (let i = 0; i < Math.min(LOOKS_PER_ROUND, ids.length); i++) {
      const regionId = ids[this.#cursor++ % ids.length];
      if (regionId !== undefined) due.add(regionId);
    }
    return [...due].flatMap((regionId) => {
      const region = this.#engine.region(regionId);
      if (region?.isLeader !== true) {
        this.#reported.delete(regionId);
        return [];
      }
      return this.#report(region, forced.has(regionId)) ?? [];
    });
  }

  #report(region: RegionHandle, isForced: boolean): RegionStatsInit | undefined {
    const internal = this.#engine.internal(region.regionId);
    if (!region.isLeader || internal?.node === undefined) return undefined;
    const { progress } = internal.node.status();
    const nowMs = this.#clock.monotonicMs();
    // A new leader, or one with a new peer, has not had the time to hear of everyone.
    const state = peersOf(progress, region.peerId, nowMs - internal.membersSinceMs);
    const { epoch, peers, start, end } = region.descriptor;
    const fingerprint = JSON.stringify([epoch, peers, start, end, region.term, state]);
    const before = this.#reported.get(region.regionId);
    const nowWallMs = Math.floor(this.#clock.wallMs());
    const isLoadDue = before === undefined || nowMs - before.sinceMs >= LOAD_INTERVAL_MS;
    const isNews = isForced || before?.fingerprint !== fingerprint;
    if (!isNews && !(isLoadDue && internal.load.hasTraffic)) return undefined;
    const counts = internal.load.take();
    const peer = (peerId: number) => {
      const found = peers.find((member) => member.peerId === peerId);
      return { peerId, storeId: found?.storeId ?? 0, role: found?.role ?? PeerRole.VOTER };
    };
    this.#reported.set(region.regionId, {
      fingerprint,
      sinceWallMs: nowWallMs,
      sinceMs: nowMs,
      isUnsettled:
        state.pending.length > 0 || state.down.length > 0 || peers.some(({ role }) => role !== PeerRole.VOTER),
    });
    return {
      region: descriptorToProto(region.descriptor),
      leader: peer(region.peerId),
      term: region.term,
      downPeers: progress
        .filter(({ peerId }) => state.down.includes(peerId))
        .map(({ peerId, lastActiveMs }) => ({ peer: peer(peerId), downSeconds: Math.floor(lastActiveMs / 1_000) })),
      pendingPeers: state.pending.map(peer),
      ...counts,
      approximateSize: internal.load.approximateSize,
      approximateKeys: internal.load.approximateKeys,
      intervalStart: before?.sinceWallMs ?? nowWallMs,
      intervalEnd: nowWallMs,
      progress: progress.map(({ peerId, match, isCaughtUp }) => ({ peerId, match, caughtUp: isCaughtUp })),
    };
  }
}

/** Which peers are silent and which lack data, as their leader sees them. `sinceMs`: how long it could have heard of them. */
function peersOf(
  progress: readonly PeerStatus[],
  self: number,
  sinceMs: number,
): { pending: number[]; down: number[]; caughtUp: number[] } {
  const pending: number[] = [];
  const down: number[] = [];
  const caughtUp: number[] = [];
  for (const { peerId, isCaughtUp, lastActiveMs, state } of progress) {
    if (peerId === self) continue;
    if (Math.min(lastActiveMs, sinceMs) >= DOWN_AFTER_MS) down.push(peerId);
    if (isCaughtUp) caughtUp.push(peerId);
    // A voter that is a few entries behind is no news; one that needs a snapshot is.
    if (state === "snapshot" || (!isCaughtUp && state === "probe")) pending.push(peerId);
  }
  return { pending, down, caughtUp };
}
