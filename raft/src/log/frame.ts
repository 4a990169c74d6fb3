import type { RheaError } from "@rhea/common";
import type { ByteWriter } from "./byte-io.js";
import { encodeLists, FRAME_HEADER_BYTES, listBytes, setFrameHeader } from "./frame-codec.js";
import type { GroupState } from "./group-state.js";
import type { Segment } from "./segment-set.js";

/** Who waits for a frame to be durable. */
export interface Waiter {
  resolve(): void;
  reject(error: RheaError): void;
}

/** A frame in memory: open (records are added), sealed (waits to be written) or in flight. */
export class Frame {
  readonly sequence: number;
  readonly segment: Segment;
  /** Where it begins in its segment; fixed when it is opened, so that records know their place at once. */
  readonly offset: number;
  /** Holds the frame from its header on. */
  readonly out: ByteWriter;
  /** Monotonic ms when it was opened. */
  readonly openedAtMs: number;
  readonly waiters: Waiter[] = [];
  /** Whether it was written and, if the log is synced, synced. */
  isWritten = false;
  readonly #groups: { readonly groupId: number; records: number }[] = [];

  constructor(sequence: number, segment: Segment, out: ByteWriter, openedAtMs: number) {
    this.sequence = sequence;
    this.segment = segment;
    this.offset = segment.bytes;
    this.out = out;
    this.openedAtMs = openedAtMs;
    out.length = 0;
    out.skip(FRAME_HEADER_BYTES);
  }

  /** Where the next record will stand in the segment. */
  get position(): number {
    return this.offset + this.out.length;
  }

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  /** Size it would be sealed with after `bytes` more of a group not yet listed. */
  sizeWith(bytes: number): number {
    return this.out.length + bytes + 2 * listBytes(this.#groups.length + 1);
  }

  /** Lists a record's group. */
  count(group: GroupState): void {
    if (group.listedInFrame === this.sequence) {
      const listed = this.#groups[group.listSlot];
      if (listed !== undefined) listed.records++;
      return;
    }
    group.listedInFrame = this.sequence;
    group.listSlot = this.#groups.length;
    this.#groups.push({ groupId: group.groupId, records: 1 });
  }

  /** Lists a record of the log itself. */
  countOwn(): void {
    this.#groups.push({ groupId: 0, records: 1 });
  }

  /** Closes it for records: its length is final, and so is the place of the next frame. */
  seal(): void {
    encodeLists(this.out, this.segment.salt, this.sequence, this.#groups);
    this.segment.bytes = this.offset + this.out.length;
  }

  /** Sets the header; called when it is written, because only then is `durable` known. Returns the bytes to write. */
  finish(durable: number): Buffer {
    setFrameHeader(this.out, this.segment.salt, {
      sequence: this.sequence,
      durable,
      offset: this.offset,
      listBytes: listBytes(this.#groups.length),
    });
    return this.out.slice();
  }

  /** Copies bytes by their place in the segment; the range lies within the frame. */
  read(offset: number, length: number): Buffer {
    const start = offset - this.offset;
    return Buffer.from(this.out.slice(start, start + length));
  }
}
