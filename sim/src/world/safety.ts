/**
 * What must hold always, told by observers of the hosts and checked as it happens. A checker belongs to a world, not to a
 * process: it remembers over crashes.
 */
import { crc32, InvariantError } from "@rhea/common";

/** An entry as its state machine got it. */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

/** Judges consensus. Every method throws InvariantError with the group, index and peers of a violation. */
export interface SafetyChecker {
  /** Election safety: at most one leader per group and term. Leader completeness: it has all that was ever committed. */
  onLeader(groupId: number, peerId: number, term: number, lastIndex: number): void;
  /** State-machine safety: one entry per group and index, for ever and on every peer. */
  onApply(groupId: number, peerId: number, entries: readonly AppliedEntry[]): void;
  /** Terms and votes never regress, also over crashes: called with what is durable. */
  readonly onHardState: (
    groupId: number,
    peerId: number,
    state: { readonly term: number; readonly vote: number },
  ) => void;
  /** Highest index known committed. */
  committed(groupId: number): number;
  /** How many entries were checked, each on each peer. */
  readonly checked: number;
}

interface Committed {
  readonly term: number;
  readonly crc: number;
  readonly length: number;
  readonly peerId: number;
}

/** Makes a checker that has seen nothing. */
export function createSafetyChecker(): SafetyChecker {
  const leaders = new Map<string, number>();
  const logs = new Map<number, Map<number, Committed>>();
  const newest = new Map<number, number>();
  const hardStates = new Map<string, { term: number; vote: number }>();
  let checked = 0;
  return {
    get checked() {
      return checked;
    },
    committed: (groupId) => newest.get(groupId) ?? 0,
    onLeader(groupId, peerId, term, lastIndex) {
      const key = `${groupId}/${term}`;
      const before = leaders.get(key);
      if (before !== undefined && before !== peerId) {
        throw new InvariantError(
          `election safety: group ${groupId} term ${term} is led by peers ${before} and ${peerId}`,
        );
      }
      leaders.set(key, peerId);
      const committed = newest.get(groupId) ?? 0;
      if (before === undefined && lastIndex < committed) {
        throw new InvariantError(
          `leader completeness: group ${groupId}: peer ${peerId} leads term ${term} with last index ${lastIndex}, ${committed} is committed`,
        );
      }
    },
    onApply(groupId, peerId, entries) {
      let log = logs.get(groupId);
      if (log === undefined) {
        log = new Map<number, Committed>();
        logs.set(groupId, log);
      }
      for (const { index, term, data } of entries) {
        checked++;
        const crc = crc32(data);
        const known = log.get(index);
        if (known === undefined) {
          log.set(index, { term, crc, length: data.length, peerId });
          newest.set(groupId, Math.max(newest.get(groupId) ?? 0, index));
        } else if (known.term !== term || known.crc !== crc || known.length !== data.length) {
          throw new InvariantError(
            `state-machine safety: group ${groupId} index ${index}: peer ${known.peerId} applied term ${known.term} (${known.length} bytes), peer ${peerId} applies term ${term} (${data.length} bytes)`,
          );
        }
      }
    },
    onHardState(groupId, peerId, { term, vote }) {
      const key = `${groupId}/${peerId}`;
      const before = hardStates.get(key);
      if (before !== undefined && term < before.term) {
        throw new InvariantError(`group ${groupId} peer ${peerId}: term fell from ${before.term} to ${term}`);
      }
      if (before?.term === term && before.vote !== 0 && before.vote !== vote) {
        throw new InvariantError(
          `group ${groupId} peer ${peerId}: voted for ${before.vote} and ${vote} in term ${term}`,
        );
      }
      hardStates.set(key, { term, vote });
    },
  };
}
