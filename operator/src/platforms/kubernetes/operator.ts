/** A whole operator in one process: election, events, and a controller per watched namespace while it leads. */
import { RheaError, type Clock, type Logger, type Rng, type Scheduler } from "@rhea/common";
import type { KubeClient } from "../../kube/index.js";
import { createEventRecorder, createLeaderElection, type RuntimeMetrics } from "../../runtime/index.js";
import type { CertificateMaker } from "./certificates.js";
import { createClusterController, type ClusterController } from "./controller.js";
import type { OperatorSettings, PdCalls, PdTarget } from "./deps.js";
import type { PlatformMetrics } from "./metrics.js";

/** Everything that an operator takes from outside. */
export interface OperatorOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly connectPd: (target: PdTarget) => PdCalls;
  readonly certificates: CertificateMaker;
  readonly settings: OperatorSettings;
  /** Empty or absent: all namespaces. */
  readonly namespaces?: readonly string[];
  /** Clusters that are worked on at the same time, per watched namespace. Default 4. */
  readonly workers?: number;
  /** Never the same for two processes. */
  readonly identity: string;
  readonly leaderElection: {
    readonly namespace: string;
    /** Name of the Lease. */
    readonly name: string;
    readonly leaseDurationMs?: number;
    readonly renewDeadlineMs?: number;
    readonly retryPeriodMs?: number;
  };
  readonly metrics?: { readonly runtime: RuntimeMetrics; readonly platform: PlatformMetrics };
}

/** A running operator. */
export interface Operator {
  isLeader(): boolean;
  /** Why it cannot work yet, if it leads; undefined when it can. */
  readinessProblem(): string | undefined;
  /** Ends the passes under way, then gives the leadership back. */
  close(): Promise<void>;
}

/** Starts an operator. It stands for election at once and looks after clusters while it leads. */
export function startOperator(options: OperatorOptions): Operator {
  const { client, clock, scheduler, rng, logger, identity, metrics } = options;
  const events = createEventRecorder({
    ...{ client, clock, scheduler, logger },
    controller: "rheakv.io/operator",
    instance: identity,
  });
  let controllers: readonly ClusterController[] = [];

  const begin = () => {
    const namespaces = options.namespaces ?? [];
    controllers = (namespaces.length === 0 ? [undefined] : namespaces).map((namespace) =>
      createClusterController({
        ...{ kube: client, clock, scheduler, rng, logger, events },
        isLeader: () => election.isLeader(),
        connectPd: options.connectPd,
        certificates: options.certificates,
        settings: options.settings,
        ...(namespace === undefined ? {} : { namespace }),
        ...(options.workers === undefined ? {} : { workers: options.workers }),
        ...(metrics === undefined ? {} : { metrics }),
      }),
    );
    for (const controller of controllers) {
      controller.start().catch((error: unknown) => {
        logger.log("error", "the controller did not start", { error: RheaError.from(error).message });
      });
    }
  };
  const end = async () => {
    const running = controllers;
    controllers = [];
    await Promise.all(running.map((controller) => controller.close()));
  };

  const election = createLeaderElection({
    ...{ client, clock, scheduler, rng, logger, identity },
    ...options.leaderElection,
    onStartedLeading: () => {
      logger.log("info", "leads", { identity });
      begin();
    },
    onStoppedLeading: async () => {
      await end();
      logger.log("info", "does not lead any more", { identity });
    },
    ...(metrics === undefined ? {} : { metrics: metrics.runtime }),
  });
  election.start();

  let closing: Promise<void> | undefined;
  return {
    isLeader: () => election.isLeader(),
    readinessProblem() {
      const waiting = controllers.some(({ hasSynced }) => !hasSynced);
      return waiting ? "the caches are not filled yet" : undefined;
    },
    close() {
      closing ??= (async () => {
        await election.close();
        await events.close().catch((error: unknown) => {
          logger.log("warn", "events were lost", { error: RheaError.from(error).message });
        });
      })();
      return closing;
    },
  };
}
