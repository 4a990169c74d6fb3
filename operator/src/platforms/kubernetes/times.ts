import type { Clock } from "@rhea/common";

/** Turns times of Kubernetes (Unix time of another machine) into the monotonic clock of one look, and back. */
export interface Times {
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
  /** Returns when that was; what seems to lie in the future, because clocks differ, is now. Undefined without a time. */
  since(timestamp: string | undefined): number | undefined;
  /** Writes a monotonic time as Kubernetes does, in whole seconds. */
  timestamp(monotonicMs: number): string;
}

/** Takes the time for one look. */
export function takeTime(clock: Clock): Times {
  const nowMs = clock.monotonicMs();
  const wallMs = clock.wallMs();
  return {
    nowMs,
    wallMs,
    since(timestamp) {
      const unixMs = Date.parse(timestamp ?? "");
      return Number.isNaN(unixMs) ? undefined : nowMs - Math.max(0, wallMs - unixMs);
    },
    timestamp: (monotonicMs) => formatTime(wallMs + monotonicMs - nowMs),
  };
}

/** Writes Unix time as Kubernetes does, in whole seconds. */
export function formatTime(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 19)}Z`;
}
