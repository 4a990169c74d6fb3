/** A Lease behind an API server, for tests: resource versions, conflicts, and calls that fail, hang or lose their answer. */
import { RheaError, type Scheduler } from "@rhea/common";
import type { CallOptions, KubeClient, Lease } from "../kube/index.js";

type LeaseClient = Pick<KubeClient, "find" | "create" | "replace">;

/** One Lease and clients that see it. */
export class FakeLeases {
  lease: Lease | undefined;
  writes = 0;
  #version = 0;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Makes a client; `fault` is asked before each of its calls. `lost`: done, but the answer never comes. */
  client(fault: () => "none" | "down" | "hang" | "lost" = () => "none"): LeaseClient {
    const call = async <R>({ signal, timeoutMs = 30_000 }: CallOptions, act: () => R): Promise<R> => {
      const kind = fault();
      if (kind === "down") throw new RheaError("UNAVAILABLE", "no API server");
      const result = kind === "hang" ? undefined : act();
      if (kind === "none") return result as R;
      return new Promise((_, reject) => {
        const end = (error: RheaError): void => {
          timer.cancel();
          signal?.removeEventListener("abort", abort);
          reject(error);
        };
        const abort = (): void => end(new RheaError("CANCELLED", "closing"));
        const timer = this.#scheduler.setTimer(timeoutMs, () => end(new RheaError("DEADLINE_EXCEEDED", "silence")));
        signal?.addEventListener("abort", abort);
      });
    };
    const put = (lease: Lease): Lease => {
      this.writes += 1;
      this.#version += 1;
      this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(this.#version) } };
      return this.lease;
    };
    return {
      find: (_resource, _key, options) => call(options ?? {}, () => this.lease as never),
      create: (_resource, lease, options) =>
        call(options ?? {}, () => {
          if (this.lease !== undefined) throw new RheaError("ALREADY_EXISTS", "the lease exists");
          return put(lease) as never;
        }),
      replace: (_resource, lease, options) =>
        call(options ?? {}, () => {
          if (this.lease?.metadata?.resourceVersion !== lease.metadata?.resourceVersion) {
            throw new RheaError("KUBE_CONFLICT", "the lease changed");
          }
          return put(lease) as never;
        }),
    };
  }
}
