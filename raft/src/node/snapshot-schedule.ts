/** Decides when groups save snapshots by themselves: after a time, or after so much log; spread, so that not all save at once. */
import type { Clock, Rng, Scheduler, TimerHandle } from "@rhea/common";

/** How often groups are looked at. Ms. */
const LOOK_MS = 1_000;
/** A save that failed is not tried again for so long. Ms. */
const RETRY_MS = 60_000;
/** Thresholds of the log are up to this much higher, differently for each snapshot. */
const SPREAD = 0.25;

/** When one group's snapshots are due. */
export interface SnapshotPolicy {
  /** Ms; 0: none by time. */
  readonly intervalMs: number;
  /** Entries applied since the newest snapshot; 0: none by count. */
  readonly logEntries: number;
  /** Bytes applied since the newest snapshot; 0: none by bytes. */
  readonly logBytes: number;
}

/** A group as the schedule sees it. */
export interface ScheduledGroup {
  readonly policy: SnapshotPolicy;
  /** Whether it may save now. */
  readonly isReady: boolean;
  /** Applied since the newest snapshot. */
  readonly newEntries: number;
  readonly newBytes: number;
  /** Saves one; rejects if that failed. */
  save(): Promise<unknown>;
}

interface Plan {
  dueMs: number;
  notBeforeMs: number;
  /** Factor on the thresholds of the log. */
  slack: number;
  isSaving: boolean;
}

/** What the schedule needs. */
export interface SnapshotScheduleOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
}

/** All groups of a process that save snapshots. Without one it costs nothing. */
export class SnapshotSchedule {
  readonly #options: SnapshotScheduleOptions;
  readonly #plans = new Map<ScheduledGroup, Plan>();
  #timer: TimerHandle | undefined;
  #isClosed = false;

  constructor(options: SnapshotScheduleOptions) {
    this.#options = options;
  }

  /** Looks after a group from now on; its first snapshot by time comes after half to all of the interval. */
  add(group: ScheduledGroup): void {
    if (this.#isClosed) return;
    const half = group.policy.intervalMs / 2;
    const dueMs = this.#options.clock.monotonicMs() + half + half * this.#fraction();
    this.#plans.set(group, { dueMs, notBeforeMs: 0, slack: this.#slack(), isSaving: false });
    if (this.#timer === undefined) this.#schedule();
  }

  remove(group: ScheduledGroup): void {
    this.#plans.delete(group);
    if (this.#plans.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#plans.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer = this.#options.scheduler.setTimer(LOOK_MS, () => {
      this.#schedule();
      const nowMs = this.#options.clock.monotonicMs();
      for (const [group, plan] of this.#plans) if (isDue(group, plan, nowMs)) this.#save(group, plan);
    });
  }

  #save(group: ScheduledGroup, plan: Plan): void {
    plan.isSaving = true;
    const end = (isDone: boolean): void => {
      const nowMs = this.#options.clock.monotonicMs();
      plan.isSaving = false;
      plan.slack = this.#slack();
      const { intervalMs } = group.policy;
      plan.dueMs = nowMs + (isDone ? intervalMs : Math.min(intervalMs, RETRY_MS));
      plan.notBeforeMs = isDone ? 0 : nowMs + RETRY_MS;
    };
    // Whoever saves has logged what went wrong.
    group.save().then(
      () => {
        end(true);
      },
      () => {
        end(false);
      },
    );
  }

  #slack(): number {
    return 1 + SPREAD * this.#fraction();
  }

  /** In [0, 1). */
  #fraction(): number {
    return this.#options.rng.int(65_536) / 65_536;
  }
}

function isDue({ policy, isReady, newEntries, newBytes }: ScheduledGroup, plan: Plan, nowMs: number): boolean {
  if (plan.isSaving || !isReady || newEntries === 0 || nowMs < plan.notBeforeMs) return false;
  const { intervalMs, logEntries, logBytes } = policy;
  if (intervalMs > 0 && nowMs >= plan.dueMs) return true;
  return (
    (logEntries > 0 && newEntries >= logEntries * plan.slack) || (logBytes > 0 && newBytes >= logBytes * plan.slack)
  );
}
