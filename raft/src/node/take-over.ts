/** After a leader's process is gone: its followers here campaign soon, spread over about a tick, without waiting for a timeout. */
import type { Rng, Scheduler, TimerHandle } from "@rhea/common";
import type { Group } from "./group.js";

/** The campaigns are spread over this many steps, a fraction of a tick apart. */
const STEPS = 8;
/** How often a group looks again, while others try. */
const ATTEMPTS = 6;

/** What taking over needs. */
export interface TakeOverOptions {
  readonly rng: Rng;
  readonly scheduler: Scheduler;
  readonly tickMs: number;
  /** Whether a group may campaign now: not while too many do. */
  mayCampaign(group: Group): boolean;
  /** Runs a step in the host's care: its time is read before, its failures are fatal. */
  run(step: () => void): void;
}

/** Lets groups without a leader campaign. */
export class TakeOver {
  readonly #options: TakeOverOptions;
  readonly #timers = new Set<TimerHandle>();

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /** Campaigns for groups without a leader; again later where another candidate was heard of meanwhile. */
  begin(orphans: readonly Group[]): void {
    this.#try(orphans, ATTEMPTS);
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #try(orphans: readonly Group[], attempts: number): void {
    if (attempts === 0 || orphans.length === 0) return;
    const { rng, tickMs } = this.#options;
    const steps = new Map<number, Group[]>();
    for (const orphan of orphans) {
      const step = rng.int(STEPS);
      const sharing = steps.get(step);
      if (sharing === undefined) steps.set(step, [orphan]);
      else sharing.push(orphan);
    }
    for (const [step, sharing] of steps) {
      this.#later(((step + 1) * tickMs) / STEPS, () => {
        const waiting: Group[] = [];
        const queued: Group[] = [];
        for (const orphan of sharing) {
          const verdict = orphan.judgeTakeOver();
          if (verdict === "later") waiting.push(orphan);
          else if (verdict === "no") continue;
          else if (this.#options.mayCampaign(orphan)) orphan.campaign();
          else queued.push(orphan);
        }
        this.#try(waiting, attempts - 1);
        this.#try(queued, attempts);
      });
    }
  }

  #later(delayMs: number, step: () => void): void {
    const timer = this.#options.scheduler.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      this.#options.run(step);
    });
    this.#timers.add(timer);
  }
}
