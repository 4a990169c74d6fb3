/**
 * Calls that touch several regions: divided by region, sent in parallel, put together again. When a region splits while its part is on the
 * way, only that part is divided again.
 *
 * Exactly once. Each part is a command of its own with a seq of its own, taken when the part is first sent. When a part has to be divided
 * after it was sent, there are two cases:
 * - Every attempt so far was refused for certain (an epoch error before the log or at apply). Nothing of it can appear any more: the new
 *   parts take fresh seqs.
 * - Some attempt may have been applied (its stream broke, it timed out). Then the whole part was applied before the region split, or nothing of
 *   it was and never will be as a whole, since the old epoch is refused from the split on. Session tables belong to key ranges and a split
 *   copies them: if it was applied, the table of every range it touched knows its seq; if not, none does. So the new parts keep the seq. Each
 *   goes to a region of its own and is recognised, or applied once, there. They must not fall back to fresh seqs: a part applied before the
 *   split would be applied again, over what other clients wrote meanwhile. (Two parts of one seq can meet in one region only if it merged
 *   again; the merged region keeps the two ranges' tables apart while one of the seqs is outstanding.)
 * The seq stays outstanding until its last part has an answer.
 */
import { RheaError } from "@rhea/common";
import type { KvResult } from "@rhea/proto";
import { covers, coversRange, type Route } from "../routing/route.js";
import type { CallOptions } from "../options.js";
import { Operation, type Span } from "../sending/operation.js";
import { sealCommand, submit, type CommandBody, type Kit } from "./kit.js";

/** What a piece of a call touches: one key, or a range. Latin-1. */
export interface Piece {
  readonly start: string;
  /** Present: the range [start, end), an empty end is the end of the keyspace. Absent: the key `start`. */
  readonly end?: string;
}

/** A part's failure. */
export interface RegionFailure {
  /** 0 where no region was found. */
  readonly regionId: number;
  /** How many of the call's keys (or ranges) this part had. */
  readonly count: number;
  readonly error: RheaError;
}

/** How a call works on its parts. */
export interface FanOutWork<P extends Piece> {
  readonly name: string;
  /** The command of one part. Absent for reads. */
  readonly command?: (pieces: readonly P[]) => CommandBody;
  /** The read of one part. Absent for writes. */
  readonly read?: (pieces: readonly P[]) => NonNullable<Operation["read"]>;
  readonly isStale?: boolean;
  /** Pieces per part at most; default unlimited. Only for reads: a write is atomic per region. */
  readonly maxPieces?: number;
  /** Cuts a range at a region's end. Absent for keys. */
  readonly cut?: (piece: P, start: string, end: string) => P;
  /** Takes one part's answer. Throwing fails the part. */
  onAnswer(pieces: readonly P[], result: KvResult): void;
}

/** Runs a call over all its regions. Resolves with the failed parts, in no order, when every part has ended. */
export function fanOut<P extends Piece>(
  kit: Kit,
  pieces: readonly P[],
  work: FanOutWork<P>,
  options: CallOptions | undefined,
): Promise<RegionFailure[]> {
  return new Promise((resolve) => new FanOut(kit, work, options, resolve).run(pieces));
}

class FanOut<P extends Piece> {
  readonly #kit: Kit;
  readonly #work: FanOutWork<P>;
  readonly #options: CallOptions | undefined;
  readonly #finish: (failures: RegionFailure[]) => void;
  readonly #failures: RegionFailure[] = [];
  #open = 0;

  constructor(
    kit: Kit,
    work: FanOutWork<P>,
    options: CallOptions | undefined,
    finish: (failures: RegionFailure[]) => void,
  ) {
    this.#kit = kit;
    this.#work = work;
    this.#options = options;
    this.#finish = finish;
  }

  run(pieces: readonly P[]): void {
    this.#open++;
    this.#distribute(pieces, undefined);
    this.#close();
  }

  #close(): void {
    if (--this.#open === 0) this.#finish(this.#failures);
  }

  /** Divides by the regions known now; what lies in no known region travels together until a lookup tells more. */
  #distribute(pieces: readonly P[], parent: Operation | undefined): void {
    const parts = partition(pieces, this.#kit, this.#work);
    const identity = parent?.maybeApplied === true ? parent.identity : undefined;
    if (identity !== undefined) for (let i = 0; i < parts.length; i++) identity.session.share(identity.seq);
    if (parent?.identity !== undefined) parent.identity.session.end(parent.identity.seq);
    for (const part of parts) this.#send(part, parent, identity);
  }

  #send(pieces: readonly P[], parent: Operation | undefined, identity: Operation["identity"]): void {
    const first = pieces[0];
    if (first === undefined) return;
    this.#open++;
    const operation: Operation = new Operation({
      name: this.#work.name,
      routeKey: first.start,
      ...this.#request(pieces),
      isStale: this.#work.isStale ?? false,
      span: this.#span(pieces),
      decode: (result) => this.#work.onAnswer(pieces, result),
      resolve: () => this.#close(),
      reject: (error) => this.#fail(pieces, operation, error),
    });
    operation.identity = identity;
    try {
      if (parent === undefined) submit(this.#kit, operation, this.#options);
      else this.#kit.sender.resubmit(operation, parent);
    } catch (error) {
      identity?.session.end(identity.seq);
      this.#fail(pieces, operation, RheaError.from(error));
    }
  }

  #request(pieces: readonly P[]): { seal?: (operation: Operation) => void; read?: Operation["read"] } {
    const { command, read } = this.#work;
    if (command !== undefined) return { seal: (operation) => sealCommand(this.#kit, operation, command(pieces)) };
    return { read: read?.(pieces) };
  }

  #span(pieces: readonly P[]): Span {
    return {
      fits: (route) => pieces.every((piece) => isWithin(route, piece)),
      divide: (operation) => {
        this.#distribute(pieces, operation);
        this.#close();
      },
    };
  }

  #fail(pieces: readonly P[], operation: Operation, error: RheaError): void {
    if (error.code === "BATCH_TOO_LARGE" && this.#work.read !== undefined && pieces.length > 1) {
      // The values together exceed a message: ask for half at a time.
      const half = Math.ceil(pieces.length / 2);
      this.#send(pieces.slice(0, half), operation, undefined);
      this.#send(pieces.slice(half), operation, undefined);
    } else {
      this.#failures.push({ regionId: operation.route?.regionId ?? 0, count: pieces.length, error });
    }
    this.#close();
  }
}

function isWithin(route: Route, piece: Piece): boolean {
  return piece.end === undefined ? covers(route, piece.start) : coversRange(route, piece.start, piece.end);
}

function partition<P extends Piece>(pieces: readonly P[], kit: Kit, work: FanOutWork<P>): P[][] {
  const byRoute = new Map<Route | undefined, P[][]>();
  const add = (route: Route | undefined, piece: P): void => {
    const parts = byRoute.get(route);
    if (parts === undefined) {
      byRoute.set(route, [[piece]]);
      return;
    }
    const last = parts[parts.length - 1];
    if (last !== undefined && last.length < (work.maxPieces ?? Infinity)) last.push(piece);
    else parts.push([piece]);
  };
  for (const piece of pieces) {
    if (piece.end === undefined || work.cut === undefined) add(kit.router.get(piece.start), piece);
    else cutByRegion(piece, piece.end, kit, work.cut, add);
  }
  return [...byRoute.values()].flat();
}

function cutByRegion<P extends Piece>(
  piece: P,
  end: string,
  kit: Kit,
  cut: (piece: P, start: string, end: string) => P,
  add: (route: Route | undefined, piece: P) => void,
): void {
  let { start } = piece;
  for (;;) {
    const route = kit.router.get(start);
    if (route === undefined || coversRange(route, start, end)) {
      add(route, cut(piece, start, end));
      return;
    }
    add(route, cut(piece, start, route.end));
    start = route.end;
  }
}
