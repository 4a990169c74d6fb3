/** Clock, timers and randomness for the tests of `kube/` and `runtime/`: time passes only when a test says so. */
import type { Clock, Rng, Scheduler } from "@rhea/common";
import type { KubeEndpoint } from "./endpoint.js";
import { Agent } from "node:http";

interface Timer {
  readonly dueMs: number;
  readonly delayMs: number;
  readonly run: () => void;
}

/** A clock whose hands a test moves, with its timers and a random source that repeats. */
export class VirtualTime {
  #nowMs = 0;
  #timers: Timer[] = [];
  #random = 1;
  /** Subtracted from nothing: wall time may be set to disagree with that of another process. */
  wallOffsetMs = Date.UTC(2026, 0, 1);

  readonly clock: Clock = {
    monotonicMs: () => this.#nowMs,
    wallMs: () => this.#nowMs + this.wallOffsetMs,
  };

  readonly scheduler: Scheduler = {
    setTimer: (delayMs, run) => {
      const timer: Timer = { dueMs: this.#nowMs + delayMs, delayMs, run };
      this.#timers.push(timer);
      return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
    },
    nextTurn: (run) => void Promise.resolve().then(run),
  };

  readonly rng: Rng = {
    int: (bound) => {
      this.#random = (this.#random * 48_271) % 2_147_483_647;
      return this.#random % bound;
    },
    bytes: (length) => Buffer.alloc(length, 7),
  };

  /** Delays of the timers that are set, shortest first. */
  get delays(): number[] {
    return this.#timers.map(({ delayMs }) => delayMs).toSorted((a, b) => a - b);
  }

  /** Lets time pass, timer by timer; after each, all that follows from it without I/O has happened. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    await turn();
    for (;;) {
      const next = this.#timers.reduce<Timer | undefined>(
        (least, timer) => (timer.dueMs <= end && (least === undefined || timer.dueMs < least.dueMs) ? timer : least),
        undefined,
      );
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
      await turn();
    }
    this.#nowMs = end;
  }
}

/** Lets the event loop turn once: promises that are due have run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns the event loop until `holds`; for I/O that is on its way. Throws when it never comes. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let turns = 0; turns < 200_000; turns += 1) {
    if (holds()) return;
    await turn();
  }
  throw new Error(`never came: ${what}`);
}

/** An endpoint without kubeconfig. `tokens`: bearer tokens, the next one after each refresh. */
export function endpointAt(server: string, tokens: readonly string[] = ["t"]): KubeEndpoint {
  let used = 0;
  const agent = server.startsWith("http:") ? new Agent({ keepAlive: false }) : undefined;
  return {
    server,
    context: "test",
    namespace: "default",
    async connect(refresh = false) {
      if (refresh) used = Math.min(used + 1, tokens.length - 1);
      return { headers: { authorization: `Bearer ${tokens[used] ?? ""}` }, agent: agent as Agent };
    },
    config: () => Promise.reject(new Error("no kubeconfig in this test")),
    close: () => agent?.destroy(),
  };
}
