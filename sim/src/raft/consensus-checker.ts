/** What must hold always in consensus, checked as it happens. A checker belongs to a world: it remembers over crashes and over all peers. */
import { crc32, InvariantError } from "@rhea/common";
import type { Entry } from "@rhea/raft";

/** Judges consensus over all peers of all groups. Methods throw InvariantError with group, index and peers of a violation. */
export interface ConsensusChecker {
  /** Election safety and leader completeness. `termAt` gives the new leader's log: the term at an index, -1 where it is cut or ends. */
  onLeader(groupId: number, peerId: number, term: number, termAt: (index: number) => number): void;
  /** Whether that peer was seen to lead that term. */
  leads(groupId: number, peerId: number, term: number): boolean;
  /** Log matching: an index and a term name one entry, and one entry before it, for ever. */
  onAppend(groupId: number, previousTerm: number, entries: readonly Entry[]): void;
  /** Committed prefix: one entry per index. `term`: that of the peer that says so. */
  onCommitted(groupId: number, peerId: number, term: number, entries: readonly Entry[]): void;
  /** Terms and votes that are durable never regress, also over crashes. */
  onDurable(groupId: number, peerId: number, term: number, vote: number): void;
  /** State-machine safety: after an index all replicas have one state. */
  onState(groupId: number, peerId: number, index: number, hash: number): void;
  /** Highest index known committed. */
  committed(groupId: number): number;
  /** How many entries were checked, each on each peer. */
  readonly checked: number;
}

interface Committed {
  readonly term: number;
  readonly crc: number;
  readonly peerId: number;
  /** It was committed in this term or an earlier one. */
  readonly byTerm: number;
}

interface GroupBook {
  readonly leaders: Map<number, number>;
  /** By index, then term: what the entry is and what stands before it. */
  readonly entries: Map<number, Map<number, { readonly crc: number; readonly previousTerm: number }>>;
  readonly committed: Map<number, Committed>;
  readonly states: Map<number, { readonly hash: number; readonly peerId: number }>;
  newest: number;
}

/** Makes a checker that has seen nothing. */
export function createConsensusChecker(): ConsensusChecker {
  const groups = new Map<number, GroupBook>();
  const durable = new Map<string, { term: number; vote: number }>();
  let checked = 0;

  const bookOf = (groupId: number): GroupBook => {
    let book = groups.get(groupId);
    if (book === undefined) {
      book = { leaders: new Map(), entries: new Map(), committed: new Map(), states: new Map(), newest: 0 };
      groups.set(groupId, book);
    }
    return book;
  };

  return {
    get checked() {
      return checked;
    },
    committed: (groupId) => bookOf(groupId).newest,
    leads: (groupId, peerId, term) => bookOf(groupId).leaders.get(term) === peerId,
    onLeader(groupId, peerId, term, termAt) {
      const { leaders, committed } = bookOf(groupId);
      const other = leaders.get(term);
      if (other !== undefined && other !== peerId)
        throw new InvariantError(
          `election safety: group ${groupId} term ${term} is led by peers ${other} and ${peerId}`,
        );
      leaders.set(term, peerId);
      for (const [index, entry] of committed) {
        // A vote may be late: a leader need not have what a later term committed.
        if (entry.byTerm >= term) continue;
        const found = termAt(index);
        if (found === entry.term || found === -1) continue;
        throw new InvariantError(
          `leader completeness: group ${groupId} peer ${peerId} leads term ${term} with ${found === 0 ? "nothing" : `term ${found}`} at ${index}, committed there is term ${entry.term}`,
        );
      }
    },
    onAppend(groupId, previousTerm, entries) {
      const book = bookOf(groupId);
      let before = previousTerm;
      for (const { index, term, data } of entries) {
        let terms = book.entries.get(index);
        if (terms === undefined) {
          terms = new Map<number, { readonly crc: number; readonly previousTerm: number }>();
          book.entries.set(index, terms);
        }
        const crc = crc32(data);
        const known = terms.get(term);
        if (known === undefined) terms.set(term, { crc, previousTerm: before });
        else if (known.crc !== crc || known.previousTerm !== before)
          throw new InvariantError(`log matching: group ${groupId}: index ${index} term ${term} names two entries`);
        before = term;
      }
    },
    onCommitted(groupId, peerId, byTerm, entries) {
      const book = bookOf(groupId);
      for (const { index, term, data } of entries) {
        checked++;
        const crc = crc32(data);
        const known = book.committed.get(index);
        if (known === undefined) {
          book.committed.set(index, { term, crc, peerId, byTerm });
          book.newest = Math.max(book.newest, index);
        } else if (known.term !== term || known.crc !== crc) {
          throw new InvariantError(
            `committed prefix: group ${groupId} index ${index}: peer ${known.peerId} has term ${known.term}, peer ${peerId} has term ${term}`,
          );
        }
      }
    },
    onDurable(groupId, peerId, term, vote) {
      const key = `${groupId}/${peerId}`;
      const before = durable.get(key);
      const who = `group ${groupId} peer ${peerId}`;
      if (before !== undefined && term < before.term)
        throw new InvariantError(`${who}: its term fell from ${before.term} to ${term}`);
      if (before?.term === term && before.vote !== 0 && before.vote !== vote)
        throw new InvariantError(`${who}: voted for ${before.vote} and ${vote} in term ${term}`);
      durable.set(key, { term, vote });
    },
    onState(groupId, peerId, index, hash) {
      const { states } = bookOf(groupId);
      const known = states.get(index);
      if (known === undefined) states.set(index, { hash, peerId });
      else if (known.hash !== hash)
        throw new InvariantError(
          `state-machine safety: group ${groupId} index ${index}: peers ${known.peerId} and ${peerId} have different states`,
        );
    },
  };
}
