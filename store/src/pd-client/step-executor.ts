/** Carries out the steps that PD sends for regions led here. PD repeats a step until the region's report shows it done. */
import { RheaError, fromLatin1, type Logger, errorToWire } from "@rhea/common";
import { StepKind, type OperationStep, type StepResultInit } from "@rhea/proto";
import type { RegionHandle } from "../engine/api.js";
import { measureRegion } from "../engine/size-meter.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import { epochError, notLeaderError } from "../region/epoch-errors.js";

/** Runs steps, each once at a time. */
export class StepExecutor {
  readonly #engine: StoreEngineCore;
  readonly #logger: Logger;
  readonly #onResult: (result: StepResultInit) => void;
  readonly #running = new Set<string>();

  constructor(engine: StoreEngineCore, logger: Logger, onResult: (result: StepResultInit) => void) {
    this.#engine = engine;
    this.#logger = logger;
    this.#onResult = onResult;
  }

  /** Starts a step unless it is under way; its result goes to `onResult`. */
  start(step: OperationStep): void {
    const key = `${step.operationId}:${step.stepIndex}:${step.kind}`;
    if (this.#running.has(key)) return;
    this.#running.add(key);
    const report = (error: RheaError | undefined): void => {
      this.#running.delete(key);
      const { operationId, regionId, stepIndex } = step;
      this.#onResult({ operationId, regionId, stepIndex, error: error === undefined ? null : errorToWire(error) });
    };
    this.#run(step).then(
      () => report(undefined),
      (thrown: unknown) => {
        const error = RheaError.from(thrown);
        this.#logger.log("info", "a step of PD did not succeed", {
          regionId: step.regionId,
          kind: step.kind,
          error: error.message,
        });
        report(error);
      },
    );
  }

  async #run(step: OperationStep): Promise<void> {
    const region = this.#engine.region(step.regionId);
    const internal = this.#engine.internal(step.regionId);
    if (region === undefined || internal === undefined) {
      throw new RheaError("REGION_NOT_FOUND", `region ${step.regionId} is not on store ${this.#engine.storeId}`);
    }
    if (!region.isLeader) throw notLeaderError(internal);
    const { epoch } = region.descriptor;
    const isSameEpoch = step.epoch?.confVer === epoch.confVer && step.epoch.version === epoch.version;
    if (!isSameEpoch && step.kind !== StepKind.TRANSFER_LEADER) {
      throw epochError(internal, step.epoch ?? { confVer: 0, version: 0 }, []);
    }
    await this.#execute(step, region);
  }

  async #execute(step: OperationStep, region: RegionHandle): Promise<void> {
    switch (step.kind) {
      case StepKind.ADD_LEARNER:
        return region.addPeer({ ...requirePeer(step), role: "learner" });
      case StepKind.PROMOTE:
        return region.addPeer({ ...requirePeer(step), role: "voter" });
      case StepKind.REMOVE_PEER:
        return region.removePeer(requirePeer(step).peerId);
      case StepKind.TRANSFER_LEADER:
        return region.transferLeadershipTo(requirePeer(step).peerId);
      case StepKind.SPLIT: {
        const splitKey = step.splitKey.length > 0 ? step.splitKey : await this.#middleKey(step.regionId);
        return region.split(splitKey, step.childRegionId, step.childPeerIds);
      }
      default:
        throw new RheaError("VERSION_UNSUPPORTED", `step kind ${step.kind} is not known to this store`);
    }
  }

  async #middleKey(regionId: number): Promise<Buffer> {
    const region = this.#engine.internal(regionId);
    const middle = region === undefined ? undefined : (await measureRegion(region)).middleKey;
    if (middle === undefined) {
      throw new RheaError("OPERATION_REFUSED", `region ${regionId}: it has fewer than two keys and cannot be split`, {
        details: { regionId },
      });
    }
    return fromLatin1(middle);
  }
}

function requirePeer(step: OperationStep): { peerId: number; storeId: number } {
  if (step.peer === null)
    throw new RheaError("INVALID_ARGUMENT", `step kind ${step.kind} of region ${step.regionId} names no peer`);
  return { peerId: step.peer.peerId, storeId: step.peer.storeId };
}
