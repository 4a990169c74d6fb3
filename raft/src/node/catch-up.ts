/** Whether learners have enough of the log to become voters, and whether they get anywhere. */
import type { PeerId, RaftStatus } from "../core/types.js";
import type { ChangeOptions, HostLimits } from "./api.js";

/** Entries a learner may lack when it is made a voter. */
const DEFAULT_MARGIN = 1_000;
/** Election timeouts without progress after which a learner is given up. */
const DEFAULT_PATIENCE = 10;
/** A snapshot on its way shows no progress: it may take this many times as long. */
const SNAPSHOT_PATIENCE = 10;

interface Watched {
  match: number;
  /** Tick of the last progress. */
  sinceTick: number;
}

/** Watches the learners of one request. */
export class CatchUp {
  /** Ticks without progress after which a learner is given up. */
  readonly timeoutTicks: number;
  readonly #margin: number;
  readonly #electionMs: number;
  readonly #tickMs: number;
  readonly #watched = new Map<PeerId, Watched>();

  constructor({ tickMs, electionTicks }: HostLimits, options: ChangeOptions) {
    const { catchUpMargin = DEFAULT_MARGIN, catchUpTimeoutMs } = options;
    this.#margin = catchUpMargin;
    this.#tickMs = tickMs;
    this.#electionMs = tickMs * electionTicks;
    this.timeoutTicks =
      catchUpTimeoutMs === undefined ? DEFAULT_PATIENCE * electionTicks : Math.ceil(catchUpTimeoutMs / tickMs);
  }

  /** Whether a peer follows, was heard of within an election timeout, and lacks no more than the margin. */
  isCaughtUp(peerId: PeerId, { progress, lastIndex }: RaftStatus, silentMs: number): boolean {
    const of = progress.get(peerId);
    if (of?.state !== "replicate" || silentMs > this.#electionMs) return false;
    return of.match + this.#margin >= lastIndex;
  }

  /** Says why there is no hope for one of these peers, if so. Called once per tick while they are waited for. */
  whyHopeless(peers: readonly PeerId[], { progress, lastIndex }: RaftStatus, tick: number): string | undefined {
    for (const peerId of peers) {
      const of = progress.get(peerId);
      const match = of?.match ?? 0;
      const watched = this.#watched.get(peerId);
      if (watched === undefined || match > watched.match) {
        this.#watched.set(peerId, { match, sinceTick: tick });
        continue;
      }
      const patience = this.timeoutTicks * (of?.state === "snapshot" && of.recentActive ? SNAPSHOT_PATIENCE : 1);
      const waitedTicks = tick - watched.sinceTick;
      if (waitedTicks < patience) continue;
      const has = match === 0 ? "has nothing of the log" : `has the log up to ${match} of ${lastIndex}`;
      return `peer ${peerId} does not catch up: it ${has}, and nothing more came for ${waitedTicks * this.#tickMs} ms`;
    }
    return undefined;
  }
}
