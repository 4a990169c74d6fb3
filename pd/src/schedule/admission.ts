/** How much may go on at once: concurrent operations per kind, and the rate at which peers are added to and removed from a store. */
import type { ClusterSettings } from "../cluster/index.js";
import type { OperationKind, Proposal } from "../operations/index.js";

/** Peers that one store may gain or lose in a burst, and per second after that. */
const STORE_BURST = 64;
const STORE_RATE_PER_S = 8;

/** A bucket of tokens that fills with time. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  #tokens: number;
  #atMs: number;

  /** Starts full. `perSecond` tokens come back each second, up to `capacity`. */
  constructor(capacity: number, perSecond: number, nowMs: number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#tokens = capacity;
    this.#atMs = nowMs;
  }

  /** Whole tokens at hand. */
  available(nowMs: number): number {
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSecond);
    this.#atMs = nowMs;
    return Math.floor(this.#tokens);
  }

  /** Takes one token if there is one. */
  take(nowMs: number): boolean {
    if (this.available(nowMs) < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** How many operations of a kind may run at once. */
export function limitOf(kind: OperationKind, settings: ClusterSettings): number {
  if (kind === "balance-leader") return Math.min(settings.leaderBalanceLimit, settings.operationLimit);
  if (kind === "balance-region" || kind === "better-place")
    return Math.min(settings.regionBalanceLimit, settings.operationLimit);
  return settings.operationLimit;
}

/** Admits proposals that PD made itself. Requested operations do not pass here. */
export class Admission {
  readonly #buckets = new Map<number, TokenBucket>();

  /** Admits a proposal and takes its tokens, or says what it has to wait for. */
  admit(proposal: Proposal, running: number, settings: ClusterSettings, nowMs: number): string | undefined {
    const limit = limitOf(proposal.kind, settings);
    if (running >= limit) return `${running} ${proposal.kind} operations run, ${limit} allowed`;
    const stores = new Set<number>();
    for (const step of proposal.steps) {
      if (step.kind === "addLearner" || step.kind === "removePeer") stores.add(step.storeId);
    }
    for (const storeId of stores) {
      if (this.#bucket(storeId, nowMs).available(nowMs) < 1)
        return `store ${storeId} changes ${STORE_RATE_PER_S} peers a second at most`;
    }
    for (const storeId of stores) this.#bucket(storeId, nowMs).take(nowMs);
    return undefined;
  }

  #bucket(storeId: number, nowMs: number): TokenBucket {
    let bucket = this.#buckets.get(storeId);
    if (bucket === undefined) {
      bucket = new TokenBucket(STORE_BURST, STORE_RATE_PER_S, nowMs);
      this.#buckets.set(storeId, bucket);
    }
    return bucket;
  }
}
