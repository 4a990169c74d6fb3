/** Carries out a reset by force at one peer: waits until the group is surely without a leader and still, writes, and starts the core anew. */
import { RheaError, type Rng, type Scheduler } from "@rhea/common";
import type { ConfState, HardState } from "../core/types.js";
import type { GroupLog, LogRecord } from "../log/api.js";
import type { HostLimits, PeerInfo } from "./api.js";
import { deferred, type Deferred } from "./deferred.js";
import { changeBusy } from "./node-errors.js";
import { checkReset, isConfiguration, resetRecords, withId, type ResetPlace } from "./reset-peers.js";

/** Election timeouts after which a peer that is never still is given up. */
const PATIENCE = 10;

/** What a reset needs of its group. */
export interface ResetTarget extends ResetPlace {
  readonly confState: ConfState;
  readonly log: GroupLog;
  readonly limits: HostLimits;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  /**
   * The present term, if the peer runs and knows no leader.
   * @throws RheaError for one that does not run, or OPERATION_REFUSED where there is a leader.
   */
  requireNoLeader(): number;
  /** Whether nothing is on its way to the disk and all that is committed is applied. */
  isStill(): boolean;
  /** Stops the core for good; nothing is received or sent until {@link ResetTarget.restart}. */
  halt(): void;
  append(records: readonly LogRecord[], hardState: HardState): Promise<void>;
  /** Starts the core from what the log has now, unless the peer was stopped meanwhile. */
  restart(): void;
}

/** The reset of one group. */
export class GroupReset {
  readonly #target: ResetTarget;
  #isRunning = false;
  #applying: { readonly index: number; readonly done: Deferred } | undefined;

  constructor(target: ResetTarget) {
    this.#target = target;
  }

  /** Index up to which the core has to have applied before it may campaign; 0: no reset waits. */
  get awaitedIndex(): number {
    return this.#applying?.index ?? 0;
  }

  /** Takes a configuration by force; resolves when it is in effect here. */
  async run(named: readonly PeerInfo[]): Promise<void> {
    const { groupId, members, confState } = this.#target;
    const peers = named.map((peer) => withId(members, peer));
    checkReset(this.#target, peers);
    if (this.#isRunning) throw changeBusy(groupId);
    if (isConfiguration(members, confState, peers)) return;
    this.#isRunning = true;
    try {
      await this.#waitForStillness();
      await this.#write(peers);
    } finally {
      this.#isRunning = false;
    }
  }

  /** The core has applied up to the awaited index. */
  onApplied(): void {
    this.#applying?.done.resolve();
    this.#applying = undefined;
  }

  /** The peer stops. */
  reject(error: RheaError): void {
    this.#applying?.done.reject(error);
    this.#applying = undefined;
  }

  /** A leader has an election timeout to show itself. */
  async #waitForStillness(): Promise<void> {
    const { groupId, limits, scheduler } = this.#target;
    const { electionTicks, tickMs } = limits;
    for (let waited = 0; ; waited++) {
      this.#target.requireNoLeader();
      if (waited >= electionTicks && this.#target.isStill()) return;
      if (waited >= PATIENCE * electionTicks) {
        const why = `it still writes or applies after ${waited * tickMs} ms`;
        throw new RheaError("SERVER_BUSY", `group ${groupId}: its peers are not reset: ${why}: repeat later`, {
          details: { regionId: groupId, retryAfterMs: tickMs * electionTicks },
        });
      }
      await new Promise<void>((resolve) => {
        scheduler.setTimer(tickMs, resolve);
      });
    }
  }

  async #write(peers: readonly PeerInfo[]): Promise<void> {
    const { log, members, rng } = this.#target;
    const term = this.#target.requireNoLeader();
    const { records, hardState, index } = resetRecords(log, { term, members }, peers, rng.int(256));
    const done = deferred();
    this.#applying = { index, done };
    this.#target.halt();
    await this.#target.append(records, hardState);
    this.#target.restart();
    await done.promise;
  }
}
