/** Leader election over a Lease, with client-go's rules and constants. */
import { RheaError, type Clock, type Logger, type Rng, type Scheduler, type TimerHandle } from "@rhea/common";
import { RESOURCES, type KubeClient, type Lease } from "../kube/index.js";
import { microTime } from "./kube-time.js";

const LEASE_DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_PERIOD_MS = 2_000;
/** Waits between tries are spread over 1..2.2 periods, as in client-go. */
const JITTER_RATIO = 1.2;

/** What an election is made with. */
export interface LeaderElectionOptions {
  readonly client: Pick<KubeClient, "find" | "create" | "replace">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly logger: Logger;
  /** Where the Lease is. */
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Names this process; never the same for two processes, also over restarts: pod name and a random part. */
  readonly identity: string;
  /** Milliseconds for which others leave a lease alone after they saw it change. Default 15,000. */
  readonly leaseDurationMs?: number;
  /** Milliseconds after the last renewal at which the leader gives up. Default 10,000. Below the lease duration. */
  readonly renewDeadlineMs?: number;
  /** Milliseconds between tries. Default 2,000. Below renewDeadlineMs / 1.2. */
  readonly retryPeriodMs?: number;
  /** Called when this process starts to lead; the signal fires when it ceases to. Must not throw. */
  readonly onStartedLeading: (signal: AbortSignal) => void;
  /** Called when it ceases to lead. The lease is given back on close only after this has resolved, so that no two lead. */
  readonly onStoppedLeading: () => Promise<void> | void;
  readonly metrics?: { leads(name: string, isLeader: boolean): void };
}

/** A candidate. */
export interface LeaderElection {
  start(): void;
  /**
   * Whether this process may act as the leader: a renewal that was *begun* less than the renew deadline ago succeeded. Goes false by the
   * clock alone, so ask right before each write.
   */
  isLeader(): boolean;
  /** Identity of the leader last seen; undefined before the first look and while there is none. */
  readonly leader: string | undefined;
  /** Ceases to lead, gives the lease back and stops. */
  close(): Promise<void>;
}

/**
 * Makes a candidate. A lease of another is taken over when its record has not changed for its duration by *this* process's monotonic
 * clock; times in the record are never compared, so clocks may differ. After losing, it stands again.
 */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, clock, scheduler, rng, logger, identity } = options;
  const leaseDurationMs = options.leaseDurationMs ?? LEASE_DURATION_MS;
  const renewDeadlineMs = options.renewDeadlineMs ?? RENEW_DEADLINE_MS;
  const retryPeriodMs = options.retryPeriodMs ?? RETRY_PERIOD_MS;
  if (leaseDurationMs <= renewDeadlineMs || renewDeadlineMs <= retryPeriodMs * JITTER_RATIO) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `leader election: lease duration ${leaseDurationMs} ms > renew deadline ${renewDeadlineMs} ms > 1.2 x retry period ${retryPeriodMs} ms does not hold`,
    );
  }
  const key = { namespace: options.namespace, name: options.name };
  const lifetime = new AbortController();
  let running: Promise<void> | undefined;
  /** The record last seen, and when it was seen to change. */
  let observed: { readonly lease: Lease; readonly record: string; readonly atMs: number } | undefined;
  /** Set while leading. */
  let reign: { readonly controller: AbortController; renewedAtMs: number; deadline: TimerHandle } | undefined;
  let wake: (() => void) | undefined;
  /** The end of the last reign: a new one waits for it. */
  let stopped: Promise<void> = Promise.resolve();

  function observe(lease: Lease): void {
    const record = JSON.stringify(lease.spec ?? {});
    observed = { lease, record, atMs: observed?.record === record ? observed.atMs : clock.monotonicMs() };
  }

  function spec(previous: Lease | undefined): NonNullable<Lease["spec"]> {
    const now = microTime(clock.wallMs());
    const isMine = previous?.spec?.holderIdentity === identity;
    const transitions = previous?.spec?.leaseTransitions ?? 0;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: isMine ? (previous.spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: previous === undefined || isMine ? transitions : transitions + 1,
    };
  }

  function isHeldByAnother(lease: Lease, sinceMs: number): boolean {
    const holder = lease.spec?.holderIdentity ?? "";
    if (holder === "" || holder === identity) return false;
    return clock.monotonicMs() < sinceMs + (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
  }

  /** Takes or renews the lease. Returns whether it is ours; throws when the API server cannot be asked or another was faster. */
  async function acquireOrRenew(timeoutMs: number): Promise<boolean> {
    const call = { timeoutMs, signal: lifetime.signal };
    // The leader's own record is renewed as it was last written; a conflict makes it look first the next time.
    if (reign === undefined || observed === undefined) {
      const found = await client.find(RESOURCES.leases, key, call);
      if (found === undefined) {
        observe(await client.create(RESOURCES.leases, { metadata: key, spec: spec(undefined) }, call));
        return true;
      }
      observe(found);
    }
    const current = observed;
    if (current === undefined) return false;
    if (isHeldByAnother(current.lease, current.atMs)) return false;
    try {
      observe(await client.replace(RESOURCES.leases, { ...current.lease, spec: spec(current.lease) }, call));
    } catch (error) {
      if (reign !== undefined) observed = undefined;
      throw error;
    }
    return true;
  }

  function startReign(renewedAtMs: number): void {
    const controller = new AbortController();
    reign = { controller, renewedAtMs, deadline: deadlineTimer(renewedAtMs) };
    logger.log("info", "leader election: leading", { lease: key.name, identity });
    options.metrics?.leads(options.name, true);
    options.onStartedLeading(controller.signal);
  }

  function deadlineTimer(renewedAtMs: number): TimerHandle {
    return scheduler.setTimer(Math.max(0, renewedAtMs + renewDeadlineMs - clock.monotonicMs()), () => {
      endReign(`not renewed for ${renewDeadlineMs} ms`);
    });
  }

  function endReign(why: string): void {
    if (reign === undefined) return;
    const { controller, deadline } = reign;
    reign = undefined;
    deadline.cancel();
    logger.log(lifetime.signal.aborted ? "info" : "warn", "leader election: no longer leading", {
      lease: key.name,
      identity,
      why,
    });
    options.metrics?.leads(options.name, false);
    controller.abort(new RheaError("NOT_LEADER", `leader election ${key.name}: ${why}`));
    stopped = Promise.resolve()
      .then(options.onStoppedLeading)
      .catch((thrown: unknown) => {
        logger.log("error", "leader election: onStoppedLeading failed", { error: RheaError.from(thrown).message });
      });
  }

  async function attempt(): Promise<void> {
    // What was renewed counts from the moment the request left: the record can be older than its answer.
    const startedAt = clock.monotonicMs();
    try {
      // A try that hangs must not use up the whole deadline: there is time for a second one.
      const isMine = await acquireOrRenew(renewDeadlineMs / 2);
      if (!isMine) endReign(`the lease is held by ${observed?.lease.spec?.holderIdentity ?? "nobody"}`);
      else if (reign !== undefined) {
        reign.deadline.cancel();
        reign.renewedAtMs = startedAt;
        reign.deadline = deadlineTimer(startedAt);
      } else if (!lifetime.signal.aborted) {
        await stopped;
        if (clock.monotonicMs() < startedAt + renewDeadlineMs) startReign(startedAt);
      }
    } catch (thrown) {
      if (lifetime.signal.aborted) return;
      const error = RheaError.from(thrown);
      const level = error.code === "KUBE_CONFLICT" || error.code === "ALREADY_EXISTS" ? "info" : "warn";
      logger.log(level, "leader election: could not take or renew", {
        lease: key.name,
        code: error.code,
        error: error.message,
      });
    }
  }

  async function run(): Promise<void> {
    while (!lifetime.signal.aborted) {
      await attempt();
      const jitterMs = reign === undefined ? rng.int(Math.ceil(retryPeriodMs * JITTER_RATIO)) : 0;
      await new Promise<void>((resolve) => {
        const timer = scheduler.setTimer(retryPeriodMs + jitterMs, resolve);
        wake = () => {
          timer.cancel();
          resolve();
        };
        if (lifetime.signal.aborted) wake();
      });
    }
  }

  /** Gives the lease back, so that a successor need not wait. Only our own record is touched (resource version). */
  async function release(): Promise<void> {
    try {
      // Read anew: the last renewal may have been made although its answer was cut off.
      const lease = await client.find(RESOURCES.leases, key, { timeoutMs: retryPeriodMs });
      if (lease?.spec?.holderIdentity !== identity) return;
      const now = microTime(clock.wallMs());
      const { leaseTransitions } = lease.spec;
      await client.replace(
        RESOURCES.leases,
        {
          ...lease,
          spec: {
            holderIdentity: "",
            leaseDurationSeconds: 1,
            acquireTime: now,
            renewTime: now,
            ...(leaseTransitions === undefined ? {} : { leaseTransitions }),
          },
        },
        { timeoutMs: renewDeadlineMs / 2 },
      );
    } catch (thrown) {
      logger.log("warn", "leader election: the lease could not be given back; a successor waits for its end", {
        error: RheaError.from(thrown).message,
      });
    }
  }

  return {
    start() {
      running ??= run();
    },
    isLeader: () => reign !== undefined && clock.monotonicMs() < reign.renewedAtMs + renewDeadlineMs,
    get leader() {
      const holder = observed?.lease.spec?.holderIdentity;
      return holder === "" ? undefined : holder;
    },
    async close() {
      const wasLeading = reign !== undefined;
      lifetime.abort();
      wake?.();
      await running;
      endReign("closing");
      await stopped;
      if (wasLeading) await release();
    },
  };
}
