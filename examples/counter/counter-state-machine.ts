/** What the group replicates: one number. */
import type { RheaError } from "@rhea/common";
import type { CommittedEntry, SavedSnapshot, SnapshotFiles, SnapshotWriter, StateMachine } from "@rhea/raft";

/** Who waits for an increment, in the process that proposed it. It travels beside the entry as its context, in memory only. */
export interface PendingIncrement {
  resolve(value: number): void;
  reject(error: RheaError): void;
}

/** Adds up what is committed. Every process does so in the same order, and so has the same value at the same index. */
export class CounterStateMachine implements StateMachine {
  #value = 0;

  /** The value as of what this process has applied. Call `readIndex` first where it must not be old. */
  get value(): number {
    return this.#value;
  }

  onApply(entries: readonly CommittedEntry[]): void {
    for (const { data, context } of entries) {
      if (data.length === 0) continue; // the entry with which a leader begins its term
      this.#value += Number(Buffer.from(data).toString());
      (context as PendingIncrement | undefined)?.resolve(this.#value);
    }
  }

  onDropped(context: unknown, error: RheaError): void {
    (context as PendingIncrement).reject(error);
  }

  async onSnapshotSave(_directory: string, writer: SnapshotWriter): Promise<SavedSnapshot> {
    // Taken before the first `await`: entries are applied meanwhile.
    const content = Buffer.from(String(this.#value));
    await writer.write("value", content);
    return writer.saved();
  }

  async onSnapshotLoad(files: SnapshotFiles): Promise<void> {
    this.#value = Number((await files.read("value")).toString());
  }
}
