/**
 * Which commands of which clients a region has applied, and their results while the client may ask again. Replicated state: it
 * changes only by applied commands, equally on every replica.
 */
import { toLatin1 } from "@rhea/common";
import { encodeSession, type SessionRecord } from "../format/session-record.js";

/** A client may have this many commands open, counted from its lowest outstanding one. */
export const SESSION_WINDOW = 4_096;
/** Result bytes remembered per client; the oldest results beyond it are forgotten, not that they were applied. */
const MAX_RESULT_BYTES = 16 << 20;

/** What the table knows of a command. */
export type SessionLookup =
  | { readonly kind: "new" }
  /** Applied before; answer with the result of then. */
  | { readonly kind: "duplicate"; readonly result: Uint8Array }
  /** Below the floor, or the result is forgotten: whether it was applied cannot be told. */
  | { readonly kind: "expired" };

interface Session {
  floor: number;
  newestIssuedAt: number;
  resultBytes: number;
  /** In order of application. */
  readonly results: Map<number, Uint8Array | undefined>;
}

/** The part of a command that identifies it. */
export interface CommandIdentity {
  readonly clientId: Uint8Array;
  readonly seq: number;
  readonly lowestOutstanding: number;
  readonly issuedAt: number;
}

const NEW: SessionLookup = { kind: "new" };
const EXPIRED: SessionLookup = { kind: "expired" };

/** Sessions of one key range. */
export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  /** Clients whose record changed since {@link SessionTable.takeDirty}. */
  #dirty = new Set<string>();

  get size(): number {
    return this.#sessions.size;
  }

  /** Judges a command before it is applied. */
  lookup(command: CommandIdentity): SessionLookup {
    const session = this.#sessions.get(toLatin1(command.clientId));
    if (session === undefined) return NEW;
    if (command.seq < session.floor) return EXPIRED;
    const result = session.results.get(command.seq);
    if (result !== undefined) return { kind: "duplicate", result };
    return session.results.has(command.seq) ? EXPIRED : NEW;
  }

  /** Remembers an applied command and forgets what its client has acknowledged with it. */
  record(command: CommandIdentity, result: Uint8Array): void {
    const clientId = toLatin1(command.clientId);
    let session = this.#sessions.get(clientId);
    if (session === undefined) {
      session = { floor: 0, newestIssuedAt: 0, resultBytes: 0, results: new Map() };
      this.#sessions.set(clientId, session);
    }
    raiseFloor(session, command.lowestOutstanding);
    session.newestIssuedAt = Math.max(session.newestIssuedAt, command.issuedAt);
    session.results.set(command.seq, result);
    session.resultBytes += result.length;
    if (session.resultBytes > MAX_RESULT_BYTES) dropOldestResults(session);
    this.#dirty.add(clientId);
  }

  /** Takes the records that changed, encoded, keyed by client id. */
  takeDirty(): Map<string, Buffer> {
    const records = new Map<string, Buffer>();
    for (const clientId of this.#dirty) {
      const session = this.#sessions.get(clientId);
      if (session !== undefined) records.set(clientId, encodeSession(session));
    }
    this.#dirty = new Set();
    return records;
  }

  /** Puts a stored session in place. */
  load(clientId: string, record: SessionRecord): void {
    let resultBytes = 0;
    for (const result of record.results.values()) resultBytes += result?.length ?? 0;
    this.#sessions.set(clientId, {
      floor: record.floor,
      newestIssuedAt: record.newestIssuedAt,
      resultBytes,
      results: new Map(record.results),
    });
  }

  /** A copy for a child region; every record of it still has to be stored. */
  copy(): SessionTable {
    const table = new SessionTable();
    for (const [clientId, session] of this.#sessions) {
      table.load(clientId, session);
      table.#dirty.add(clientId);
    }
    return table;
  }
}

function raiseFloor(session: Session, floor: number): void {
  if (floor <= session.floor) return;
  const gap = floor - session.floor;
  if (gap <= session.results.size) {
    for (let seq = session.floor; seq < floor; seq++) forget(session, seq);
  } else {
    for (const seq of session.results.keys()) if (seq < floor) forget(session, seq);
  }
  session.floor = floor;
}

function forget(session: Session, seq: number): void {
  session.resultBytes -= session.results.get(seq)?.length ?? 0;
  session.results.delete(seq);
}

function dropOldestResults(session: Session): void {
  for (const [seq, result] of session.results) {
    if (session.resultBytes <= MAX_RESULT_BYTES) return;
    if (result === undefined) continue;
    session.resultBytes -= result.length;
    session.results.set(seq, undefined);
  }
}
