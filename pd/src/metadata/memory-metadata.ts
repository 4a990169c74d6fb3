/** A metadata store in memory, for tests: one member that leads unless told otherwise. */
import { RheaError } from "@rhea/common";
import type { MemberGroup } from "../members/index.js";
import type { MetadataEntry, MetadataStore } from "./metadata-store.js";

/** The state outlives a store object, as a disk would: pass the same map again to "restart". */
export class MemoryMetadata implements MetadataStore {
  readonly #records: Map<string, Uint8Array>;
  #listener: ((isLeader: boolean) => void) | undefined;
  #isLeader = true;
  /** Records written or removed so far. */
  writes = 0;
  readonly group: MemberGroup;

  /** `group`: default one member, id 1. */
  constructor(records: Map<string, Uint8Array> = new Map(), group?: MemberGroup) {
    this.#records = records;
    this.group = group ?? this.#loneMember();
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  get leaderAddress(): string {
    return this.#isLeader ? "memory" : "";
  }

  /** Gives leadership to this member or takes it away. */
  setLeader(isLeader: boolean): void {
    this.#isLeader = isLeader;
    this.#listener?.(isLeader);
  }

  async confirmLeadership(): Promise<void> {
    this.#requireLeader();
  }

  async scan(prefix: string): Promise<readonly MetadataEntry[]> {
    return [...this.#records]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => ({ key, value }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async put(entries: readonly MetadataEntry[]): Promise<void> {
    this.#requireLeader();
    for (const { key, value } of entries) this.#records.set(key, value);
    this.writes += entries.length;
  }

  async delete(keys: readonly string[]): Promise<void> {
    this.#requireLeader();
    for (const key of keys) this.#records.delete(key);
    this.writes += keys.length;
  }

  async compareAndPut(key: string, expect: Uint8Array | undefined, value: Uint8Array): Promise<boolean> {
    this.#requireLeader();
    const present = this.#records.get(key);
    const matches =
      present === undefined || expect === undefined ? present === expect : Buffer.compare(present, expect) === 0;
    if (matches) await this.put([{ key, value }]);
    return matches;
  }

  onLeadership(listener: (isLeader: boolean) => void): void {
    this.#listener = listener;
    listener(this.#isLeader);
  }

  async handOver(): Promise<void> {
    // Nobody else is there.
  }

  async close(): Promise<void> {
    this.#listener = undefined;
  }

  #loneMember(): MemberGroup {
    const refuse = () => Promise.reject(new RheaError("OPERATION_REFUSED", "a store in memory has one member"));
    const isLeader = () => this.#isLeader;
    return {
      isLoaded: true,
      get leaderId() {
        return isLeader() ? 1 : 0;
      },
      peers: () => [{ memberId: 1, isVoter: true }],
      progress: () => (isLeader() ? [{ memberId: 1, isVoter: true, isCaughtUp: true, silentMs: 0 }] : []),
      addPeer: refuse,
      removePeer: refuse,
      transferTo: refuse,
    };
  }

  #requireLeader(): void {
    if (!this.#isLeader) throw new RheaError("NOT_LEADER", "this member does not lead the metadata region");
  }
}
