import { invariant, InvariantError, type DiskFile } from "@rhea/common";

/** One file of the log. */
export interface Segment {
  readonly sequence: number;
  readonly path: string;
  /** Seed of the CRCs of everything in it but its fixed head. */
  readonly salt: number;
  /** Undefined until its head is durable: nothing may be written to it, and no older segment may go. */
  file: DiskFile | undefined;
  /** Where the first frame begins. */
  readonly headBytes: number;
  /** Where the next frame begins, or the file ends. */
  bytes: number;
  liveEntries: number;
  liveBytes: number;
  /** Sequence of the frame that took its last live entry away; it may go once that frame is durable. */
  deadSince: number;
}

/** The segments of a log, oldest first, and which bytes in them are live. Invariant: sequences have no gaps. */
export class SegmentSet {
  /** The frame that records are being put in now: what makes an entry dead becomes durable with it. */
  frameSequence = 0;
  /** Bytes of all live entries. */
  liveBytes = 0;
  readonly #segments: Segment[] = [];

  add(segment: Omit<Segment, "liveEntries" | "liveBytes" | "deadSince">): Segment {
    const newest = this.#segments.at(-1);
    invariant(
      newest === undefined || newest.sequence + 1 === segment.sequence,
      `segment ${segment.sequence} is out of order`,
    );
    const added: Segment = { ...segment, liveEntries: 0, liveBytes: 0, deadSince: 0 };
    this.#segments.push(added);
    return added;
  }

  /** Finds a segment that is still there. */
  get(sequence: number): Segment {
    const oldest = this.#segments[0];
    const segment = oldest === undefined ? undefined : this.#segments[sequence - oldest.sequence];
    // The message is built only on failure: this runs for every entry.
    if (segment === undefined)
      throw new InvariantError(`segment ${sequence} of the log is gone while an entry in it is live`);
    return segment;
  }

  /** Oldest first. */
  all(): readonly Segment[] {
    return this.#segments;
  }

  /** The one that is written to, or will be next. */
  newest(): Segment {
    const newest = this.#segments.at(-1);
    invariant(newest !== undefined, "the log has no segment");
    return newest;
  }

  /** Forgets the oldest. */
  removeOldest(): void {
    this.#segments.shift();
  }

  /** Counts entries that became live in a segment. */
  retain(sequence: number, entries: number, bytes: number): void {
    const segment = this.get(sequence);
    segment.liveEntries += entries;
    segment.liveBytes += bytes;
    this.liveBytes += bytes;
  }

  /** Counts entries that are not needed any more. */
  release(sequence: number, entries: number, bytes: number): void {
    const segment = this.get(sequence);
    segment.liveEntries -= entries;
    segment.liveBytes -= bytes;
    this.liveBytes -= bytes;
    if (segment.liveEntries === 0) segment.deadSince = this.frameSequence;
  }

  /** Bytes of all files. */
  fileBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Bytes of frames that are no live entries: what rewriting and removing can win. */
  deadBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes - segment.headBytes, 0) - this.liveBytes;
  }
}
