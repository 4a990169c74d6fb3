/**
 * The leader's care for PD's membership: gives ids to new members, and brings the group's configuration step by step to what the records
 * want. Level-triggered: a new leader goes on where the last one stopped.
 */
import { RheaError, type Clock, type Logger, type Scheduler } from "@rhea/common";
import type { PdMemberInit } from "@rhea/proto";
import type { MemberGroup } from "./member-group.js";
import { memberToProto, type MemberIdentity, type MemberRecord } from "./member.js";
import { isHeard, planStep, removalRefusal, type MemberStep } from "./plan-step.js";

/** Members that are not removed at most: five, and room to replace two of them. */
const MAX_MEMBERS = 7;
/** A removal is waited for this long, ms; below the time that clients give one attempt. */
const REMOVAL_WAIT_MS = 2_000;
const REMOVAL_LOOK_MS = 50;

/** Who a member is, with the proof. */
export interface ProvenMember extends MemberIdentity {
  /** Hexadecimal. */
  readonly uuid: string;
}

/** What a keeper needs. */
export interface MemberKeeperOptions {
  readonly group: MemberGroup;
  /** This member as it is now. */
  readonly self: () => ProvenMember;
  readonly records: readonly MemberRecord[];
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Makes a record durable. */
  readonly save: (record: MemberRecord) => Promise<void>;
  readonly allocateId: () => Promise<number>;
  /** The feature level in force: members below it are refused. */
  readonly featureLevel: () => number;
  /** Told after a record or the configuration changed. */
  readonly onChanged: () => void;
}

/** The keeper. Lives as long as a leadership. */
export class MemberKeeper {
  readonly #options: MemberKeeperOptions;
  readonly #records = new Map<number, MemberRecord>();
  #tail: Promise<unknown> = Promise.resolve();
  #isStepping = false;
  #isClosed = false;

  constructor(options: MemberKeeperOptions) {
    this.#options = options;
    for (const record of options.records) this.#records.set(record.memberId, record);
  }

  /** The members that are not removed, by id. */
  present(): readonly MemberRecord[] {
    return [...this.#records.values()]
      .filter(({ state }) => state !== "removed")
      .sort((a, b) => a.memberId - b.memberId);
  }

  /** The same for the wire, with what the leader sees of them. */
  list(): PdMemberInit[] {
    const { group, self } = this.#options;
    const progress = new Map(group.progress().map((peer) => [peer.memberId, peer]));
    const me = self();
    const { memberId: own } = me;
    const present: MemberRecord[] = [...this.present()];
    // A first member is written down by its first step.
    if (!this.#records.has(own)) present.push({ ...me, state: "member" });
    return present.map((record) => {
      const peer = progress.get(record.memberId);
      const leader = record.memberId === own;
      const healthy = leader || (peer !== undefined && isHeard(peer));
      return { ...memberToProto(record), leader, voter: peer?.isVoter ?? false, healthy };
    });
  }

  /**
   * Gives a new member its id, or a known one (same uuid) the same id again. Throws DISK_LOST for a name whose identity is elsewhere,
   * STALE_IDENTITY for a removed identity, OPERATION_REFUSED when there are enough, VERSION_UNSUPPORTED.
   */
  add(asking: Omit<ProvenMember, "memberId" | "incarnation">): Promise<number> {
    this.#requireLevel(asking.name, asking.featureLevel);
    return this.#inLine(async () => {
      const known = [...this.#records.values()].find(({ uuid }) => uuid === asking.uuid);
      if (known !== undefined) {
        requirePresent(known);
        return known.memberId;
      }
      const present = this.present();
      const namesake = present.find(({ name }) => name === asking.name);
      if (namesake !== undefined) {
        throw new RheaError(
          "DISK_LOST",
          `PD member name ${asking.name} belongs to member ${namesake.memberId}: a member under a known name without its identity has lost its disk; ` +
            "remove that member and start a new one under another name",
        );
      }
      if (present.length >= MAX_MEMBERS) {
        const count = `PD has ${present.length} members, ${MAX_MEMBERS} are allowed`;
        throw new RheaError("OPERATION_REFUSED", `${count}: remove one before ${asking.name} joins`);
      }
      const memberId = await this.#options.allocateId();
      await this.#save({ ...asking, memberId, incarnation: 0, state: "joining" });
      this.#options.logger.log("info", "a PD member joins", { memberId, name: asking.name, address: asking.address });
      return memberId;
    });
  }

  /** Takes in where a member is now. Unknown ids are not this cluster's: STALE_IDENTITY, as removed ones. */
  async announce(told: ProvenMember): Promise<void> {
    this.#requireLevel(told.name, told.featureLevel);
    await this.#inLine(async () => {
      const known = this.#records.get(told.memberId);
      if (known === undefined || (known.uuid !== "" && known.uuid !== told.uuid)) {
        throw new RheaError(
          "STALE_IDENTITY",
          `PD member ${told.memberId} (${told.name}) is not one of this cluster's: its data directory is of another`,
        );
      }
      requirePresent(known);
      if (told.incarnation < known.incarnation || !hasNews(known, told)) return;
      await this.#save({ ...told, state: known.state });
    });
    this.step();
  }

  /** Takes a member out for good; resolves when it is out of the configuration. Done already: nothing. */
  async remove(name: string, origin: string): Promise<void> {
    const { clock, scheduler, group, logger } = this.#options;
    await this.#inLine(async () => {
      const record = this.#byName(name);
      if (record === undefined || record.state === "removing") return;
      const refusal = removalRefusal(record.memberId, group.progress());
      if (refusal !== undefined)
        throw new RheaError("OPERATION_REFUSED", `PD member ${name} cannot be removed: ${refusal}`);
      logger.log("info", "a PD member is to be removed", { memberId: record.memberId, name, origin });
      await this.#save({ ...record, state: "removing" });
    });
    const untilMs = clock.monotonicMs() + REMOVAL_WAIT_MS;
    for (;;) {
      await this.#reconcile();
      if (this.#isClosed) throw new RheaError("NOT_LEADER", "leadership of PD moved during the removal: ask again");
      if (this.#byName(name) === undefined) return;
      if (clock.monotonicMs() >= untilMs) {
        throw new RheaError("CONF_CHANGE_BUSY", `PD member ${name} is not out yet: ask again`);
      }
      await new Promise<void>((resolve) => scheduler.setTimer(REMOVAL_LOOK_MS, resolve));
    }
  }

  /** Moves PD's leadership to a member. */
  async transferTo(name: string): Promise<void> {
    const { group, self } = this.#options;
    const record = this.#byName(name);
    if (record === undefined) throw new RheaError("NOT_FOUND", `PD has no member ${name}`);
    if (record.memberId === self().memberId) return;
    const peer = group.progress().find(({ memberId }) => memberId === record.memberId);
    if (peer?.isVoter !== true || !isHeard(peer)) {
      const why =
        peer?.isVoter === true ? `was not heard of for ${Math.round(peer.silentMs)} ms` : "is not a voter yet";
      throw new RheaError("OPERATION_REFUSED", `PD member ${name} cannot lead: it ${why}`);
    }
    await group.transferTo(record.memberId);
  }

  /** Makes the next step if there is one and none is under way. Called from the leader's tick and after changes. */
  step(): void {
    if (this.#isStepping || this.#isClosed) return;
    void this.#reconcile();
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Runs until nothing is left to do now; a failure waits for the next tick. */
  async #reconcile(): Promise<void> {
    this.#isStepping = true;
    try {
      await this.#inLine(async () => {
        await this.#keepSelf();
        for (;;) {
          const { group, self } = this.#options;
          const step = this.#isClosed ? undefined : planStep(this.present(), group.progress(), self().memberId);
          if (step === undefined) return;
          await this.#run(step);
          this.#options.onChanged();
        }
      });
    } catch (thrown) {
      const { code, message } = RheaError.from(thrown);
      if (!this.#isClosed)
        this.#options.logger.log("warn", "a change of PD's members failed", { code, error: message });
    } finally {
      this.#isStepping = false;
    }
  }

  async #run(step: MemberStep): Promise<void> {
    const { group, logger } = this.#options;
    const { memberId } = step;
    logger.log("info", "PD membership", { ...step });
    switch (step.kind) {
      case "addLearner":
        return group.addPeer(memberId, "learner");
      case "promote":
        return group.addPeer(memberId, "voter");
      case "remove":
        return group.removePeer(memberId);
      case "handOver":
        await group.transferTo(memberId);
        this.#isClosed = true; // nothing more may be decided here, though the end of leadership is not told yet
        return;
      case "settle": {
        const record = this.#records.get(memberId);
        if (record !== undefined) await this.#save({ ...record, state: step.state });
        return;
      }
    }
  }

  /** The leader's own record: of a first member that nobody added, and after its address or version changed. */
  async #keepSelf(): Promise<void> {
    const self = this.#options.self();
    const known = this.#records.get(self.memberId);
    // Without an address it does not listen yet.
    if (self.address === "" || (known !== undefined && !hasNews(known, self))) return;
    await this.#save({ ...self, state: known?.state ?? "member" });
  }

  async #save(record: MemberRecord): Promise<void> {
    await this.#options.save(record);
    this.#records.set(record.memberId, record);
    this.#options.onChanged();
  }

  #byName(wanted: string): MemberRecord | undefined {
    return this.present().find(({ name }) => name === wanted);
  }

  #requireLevel(name: string, level: number): void {
    const inForce = this.#options.featureLevel();
    if (Math.max(1, level) >= inForce) return;
    throw new RheaError(
      "VERSION_UNSUPPORTED",
      `PD member ${name} speaks feature level ${level}, the cluster is at ${inForce}: start a newer version`,
    );
  }

  /** One change after the other. */
  #inLine<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

function requirePresent({ state, memberId, name }: MemberRecord): void {
  if (state !== "removed") return;
  throw new RheaError(
    "STALE_IDENTITY",
    `PD member ${memberId} (${name}) was removed from the cluster for good: delete its data directory`,
  );
}

function hasNews(known: MemberRecord, told: ProvenMember): boolean {
  return (
    known.address !== told.address ||
    known.version !== told.version ||
    known.featureLevel !== told.featureLevel ||
    known.uuid !== told.uuid
  );
}
