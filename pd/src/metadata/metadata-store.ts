/** The little that PD needs of a replicated key-value store for its own metadata. */
import type { MemberGroup } from "../members/index.js";

/** One record. Keys are Latin-1 text. */
export interface MetadataEntry {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A linearizable store with one leader. Writes at a member that does not lead throw NOT_LEADER and change nothing. */
export interface MetadataStore {
  /** Whether this member leads, as far as it knows. */
  readonly isLeader: boolean;
  /** Where the leader is believed to be, for redirects; empty if unknown. */
  readonly leaderAddress: string;
  /** The group of members that keep it. */
  readonly group: MemberGroup;
  /** Resolves once an entry of this leader's own term is applied: what it reads then is everything. Throws if it no longer leads. */
  confirmLeadership(): Promise<void>;
  /** All records whose key begins with `prefix`, in order, from the applied state of this member. */
  scan(prefix: string): Promise<readonly MetadataEntry[]>;
  /** Writes all or nothing. Resolves when it is committed and applied. */
  put(entries: readonly MetadataEntry[]): Promise<void>;
  /** Removes all or nothing; absent ones are fine. */
  delete(keys: readonly string[]): Promise<void>;
  /** Writes if the present value is `expect` (undefined: absent). Returns whether it did. */
  compareAndPut(key: string, expect: Uint8Array | undefined, value: Uint8Array): Promise<boolean>;
  /** Calls back at once with the present state, then whenever leadership of this member begins or ends. Called once. */
  onLeadership(listener: (isLeader: boolean) => void): void;
  /** Hands leadership to another member if one can take it; resolves when it is gone or after `timeoutMs`. */
  handOver(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}
