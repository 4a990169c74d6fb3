/**
 * How the state of one group is kept: where a start finds it, how far the log may be cut behind it, and what is sent to peers that the log does
 * not serve. Two ways: the state machine has durable storage of its own, or the `snapshots` option keeps it.
 */
import { RheaError } from "@rhea/common";
import type { PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { StateMachine } from "./api.js";
import type { Applier, InstalledSnapshot, SnapshotToLoad } from "./apply.js";
import type { GroupHost } from "./group-host.js";
import { NodeSnapshots, type SnapshotFigures } from "./node-snapshots.js";
import type { ResolvedSnapshotOptions } from "./snapshot-options.js";
import { lendForSending, saveForSending, type SnapshotSource } from "./snapshot-source.js";
import type { SnapshotStaging } from "./snapshot-staging.js";
import { planStart } from "./startup.js";
import type { AppliedState } from "./storage-adapter.js";

/** The group whose state is kept. */
export interface KeptGroup {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly stateMachine: StateMachine;
  readonly log: GroupLog;
  readonly host: Pick<
    GroupHost<never>,
    "options" | "saveSlots" | "snapshotSchedule" | "readStaged" | "finishInstall" | "condemn"
  >;
  /** Asks for a turn that leaves the core alone. */
  wakeForUpkeep(): void;
  /** Cuts the log as far as it may be. */
  considerTruncation(): void;
}

/** The state of one group. */
export class StateKeeper {
  readonly #group: KeptGroup;
  readonly #applier: Applier;
  readonly #snapshots: NodeSnapshots | undefined;

  constructor(group: KeptGroup, applier: Applier, options: ResolvedSnapshotOptions | undefined) {
    this.#group = group;
    this.#applier = applier;
    this.#snapshots = options === undefined ? undefined : this.#makeSnapshots(options);
  }

  /** Whether the group can start at once. */
  get isReady(): boolean {
    return this.#snapshots === undefined && this.#group.log.pendingInstall === undefined;
  }

  /** Figures of saved snapshots; undefined without the option. */
  get figures(): SnapshotFigures | undefined {
    return this.#snapshots?.figures;
  }

  /** Up to where the state is safe without the log, and can be sent; undefined if the log is never cut. */
  get durableIndex(): number | undefined {
    const { stateMachine } = this.#group;
    if (stateMachine.onSnapshotSave === undefined) return undefined;
    const index = this.#snapshots?.oldestIndex ?? stateMachine.durableIndex?.();
    return index === undefined ? undefined : Math.min(index, this.#applier.applied);
  }

  /** What the core has to know beside the log. */
  appliedState(): AppliedState {
    const { applied, confState } = this.#applier;
    const canSave = this.#group.stateMachine.onSnapshotSave !== undefined;
    const newest = this.#snapshots?.newestIndex ?? this.durableIndex ?? applied;
    return { snapshotIndex: canSave ? Math.min(applied, newest) : 0, applied, confState };
  }

  /**
   * Brings the state machine to where it may take part, and calls `begin` then, unless applying has ended before. `isNew`: the peer was made
   * just now.
   * @throws RheaError CORRUPTION when there is no way there, or what the state machine failed with.
   */
  async start(isNew: boolean, begin: () => void): Promise<void> {
    const { groupId, log, host } = this.#group;
    const plan = await planStart({
      groupId,
      log,
      snapshots: this.#snapshots,
      isNew,
      hasMembers: this.#applier.confState.voters.length > 0,
      readStaged: (file) => host.readStaged(file),
      installation: (snapshot) => this.installation(snapshot),
      condemn: (reason) => host.condemn(groupId, reason),
    });
    if (plan.kind === "load") {
      const { snapshot } = plan;
      const beginAfter = (): void => {
        snapshot.onLoaded();
        begin();
      };
      const { saved } = snapshot;
      this.#applier.addSnapshot({ saved, prepare: () => snapshot.prepare(), onLoaded: beginAfter });
      this.#group.wakeForUpkeep();
      return;
    }
    if (plan.kind === "saveFirst") await this.#snapshots?.save();
    begin();
  }

  /** The group takes part: snapshots are saved when they are due. */
  onStarted(): void {
    if (this.#snapshots !== undefined) this.#group.host.snapshotSchedule.add(this.#snapshots);
  }

  /** What there is to do when the leader's snapshot is durable here. */
  installation(snapshot: InstalledSnapshot): SnapshotToLoad {
    const { groupId, host } = this.#group;
    const { saved, files } = snapshot;
    return {
      saved,
      prepare: () => this.#snapshots?.adopt(snapshot, host.options.disk) ?? Promise.resolve(files),
      onLoaded: () => {
        host.finishInstall(groupId, snapshot);
      },
    };
  }

  /** Saves by hand; resolves with the index up to which the log is not needed. */
  async save(): Promise<number> {
    if (this.#snapshots !== undefined) return this.#snapshots.save();
    const index = this.durableIndex;
    if (index === undefined) {
      const why = "it has neither the snapshots option nor a state machine with a durableIndex";
      throw new RheaError("OPERATION_REFUSED", `group ${this.#group.groupId}: no snapshot can be saved: ${why}`);
    }
    this.#group.considerTruncation();
    return index;
  }

  /** Gives the snapshot to send to a peer that the log does not serve. */
  open(staging: SnapshotStaging, to: PeerId): Promise<SnapshotSource> {
    if (this.#snapshots !== undefined) return lendForSending(this.#snapshots, to);
    return saveForSending(staging, this.#group.stateMachine, this.#applier.positionNow());
  }

  /** Saves nothing any more. */
  close(): void {
    if (this.#snapshots === undefined) return;
    this.#group.host.snapshotSchedule.remove(this.#snapshots);
    this.#snapshots.close();
  }

  /** Resolves when nothing is being saved any more. */
  async settle(): Promise<void> {
    await this.#snapshots?.settle();
  }

  /** Removes all stored snapshots: the peer is gone for good. */
  async discard(): Promise<void> {
    await this.#snapshots?.discardAll();
  }

  #makeSnapshots({ storage, keep, ...policy }: ResolvedSnapshotOptions): NodeSnapshots {
    const { groupId, peerId, stateMachine, host } = this.#group;
    const { clock, logger } = host.options;
    return new NodeSnapshots({
      groupId,
      peerId,
      storage,
      keep,
      policy,
      stateMachine,
      slots: host.saveSlots,
      logger,
      nowMs: () => clock.monotonicMs(),
      progress: this.#applier,
      atRest: (pause) => {
        this.#applier.addPause(pause);
        this.#group.wakeForUpkeep();
      },
      onStored: () => {
        this.#group.considerTruncation();
      },
    });
  }
}
