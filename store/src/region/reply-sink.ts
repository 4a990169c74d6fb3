/** Where the outcome of an operation goes: a client's stream, or a promise of the process's own. */
import type { RheaError } from "@rhea/common";
import type { Command, ReadResultInit } from "@rhea/proto";

/** Takes outcomes; exactly one call per operation. `id` is the caller's own. */
export interface ReplySink {
  /** `result`: an encoded CommandResult. */
  command(id: number, result: Uint8Array): void;
  read(id: number, result: ReadResultInit): void;
  error(id: number, error: RheaError): void;
}

/** A command on its way through the log. */
export interface PendingCommand {
  readonly id: number;
  readonly sink: ReplySink;
  readonly command: Command;
  /** The command as it came: reused for log, peers and apply. */
  readonly bytes: Uint8Array;
}

/** What travels in memory with an entry that was proposed here: the leader decodes nothing twice. */
export class ProposedEntry {
  readonly stamp: number;
  readonly version: number;
  readonly confVer: number;
  readonly pending: readonly PendingCommand[];
  /** So many of the commands, from the first, have their answer. */
  answered = 0;

  constructor(
    stamp: number,
    epoch: { readonly version: number; readonly confVer: number },
    pending: readonly PendingCommand[],
  ) {
    this.stamp = stamp;
    this.version = epoch.version;
    this.confVer = epoch.confVer;
    this.pending = pending;
  }

  /** Answers what has no answer yet. */
  fail(error: RheaError): void {
    const open = this.pending.slice(this.answered);
    this.answered = this.pending.length;
    for (const { id, sink } of open) sink.error(id, error);
  }
}
