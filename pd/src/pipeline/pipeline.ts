/** The ordered list of handlers that every region report passes. */
import type { RegionStats } from "@rhea/proto";
import type { RegionDescriptor, RegionView } from "../cluster/index.js";

/** One region report on its way. Handlers fill in the mutable fields for those behind them. */
export interface RegionReport {
  /** The store whose stream brought it. */
  readonly storeId: number;
  readonly stats: RegionStats;
  /** Monotonic ms. */
  readonly nowMs: number;
  /** Set by `validate` when range, epoch or peers are newer than what is stored. */
  newer: RegionDescriptor | undefined;
  /** Set by `validate`: regions that the newer descriptor pushes out. */
  evicts: readonly RegionView[];
  /** Set by `region-cache`. */
  region: RegionView | undefined;
}

/** One stage. It must not wait: everything slow goes through a port. */
export interface HeartbeatHandler {
  readonly name: string;
  /** True: when it throws the report is dropped instead of going on without it. */
  readonly isRequired?: boolean;
  /** Returns undefined to go on, or why the report ends here. */
  handle(report: RegionReport): string | undefined;
}

/** Counters of one handler. */
export interface HandlerCounters {
  readonly name: string;
  /** Reports that it ended. */
  readonly stopped: number;
  /** Times it threw. */
  readonly failed: number;
}

interface Stage {
  readonly handler: HeartbeatHandler;
  stopped: number;
  failed: number;
}

/** Runs reports through the handlers. A handler that throws is counted and skipped, never fatal. */
export class HeartbeatPipeline {
  readonly #stages: Stage[] = [];
  readonly #onFailure: (handler: string, error: unknown) => void;

  /** `onFailure` hears of every throw. */
  constructor(onFailure: (handler: string, error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Adds a handler at the end, or before the one named `before`. Names are unique; an unknown `before` is a mistake of the caller. */
  registerHandler(handler: HeartbeatHandler, before?: string): void {
    if (this.#stages.some((stage) => stage.handler.name === handler.name)) {
      throw new RangeError(`a heartbeat handler named ${handler.name} is there already`);
    }
    const at =
      before === undefined ? this.#stages.length : this.#stages.findIndex((stage) => stage.handler.name === before);
    if (at < 0) throw new RangeError(`no heartbeat handler is named ${String(before)}`);
    this.#stages.splice(at, 0, { handler, stopped: 0, failed: 0 });
  }

  /** Passes one report through. Returns why it was stopped, or undefined if it went all the way. */
  run(report: RegionReport): string | undefined {
    for (const stage of this.#stages) {
      try {
        const stop = stage.handler.handle(report);
        if (stop === undefined) continue;
        stage.stopped++;
        return stop;
      } catch (error) {
        stage.failed++;
        this.#onFailure(stage.handler.name, error);
        if (stage.handler.isRequired === true) return `${stage.handler.name} failed`;
      }
    }
    return undefined;
  }

  /** Counters in order of the handlers. */
  counters(): readonly HandlerCounters[] {
    return this.#stages.map(({ handler, stopped, failed }) => ({ name: handler.name, stopped, failed }));
  }
}
