/** What every call is made of: the sender, the router, defaults, and how commands are sealed and answers read. */
import { RheaError, type Clock, errorFromWire } from "@rhea/common";
import { Command, CommandResult, type CommandInit, type KvResult, type ReadResult } from "@rhea/proto";
import { timeoutOf, type CallOptions, type ClientOptions } from "../options.js";
import type { Router } from "../routing/router.js";
import type { Operation } from "../sending/operation.js";
import type { Sender } from "../sending/sender.js";

/** One atomic command: a value of 6 MiB with its key, or a list. Half of the message limit. */
const MAX_COMMAND_BYTES = 8 * 1024 * 1024;

/** Shared by the calls of one client. */
export interface Kit {
  readonly sender: Sender;
  readonly router: Router;
  readonly clock: Clock;
  readonly options: ClientOptions;
}

/** A command without its identity. */
export type CommandBody = Omit<CommandInit, "clientId" | "seq" | "lowestOutstanding" | "issuedAt">;

/** Submits an operation with a call's options. */
export function submit(kit: Kit, operation: Operation, options: CallOptions | undefined): void {
  kit.sender.submit(operation, timeoutOf(options, kit.options.timeoutMs), options?.signal);
}

/** Encodes a command with the operation's identity, giving it a fresh one if it has none. Throws BATCH_TOO_LARGE. */
export function sealCommand(kit: Kit, operation: Operation, body: CommandBody): void {
  let { identity } = operation;
  if (identity === undefined) {
    const session = kit.sender.sessions.current();
    identity = { session, seq: session.begin(), issuedAt: Math.floor(kit.clock.wallMs()) };
    operation.identity = identity; // from here on whoever ends the operation ends the seq
  }
  const { session, seq, issuedAt } = identity;
  const init: CommandInit = {
    kind: body.kind,
    clientId: session.clientId,
    seq,
    lowestOutstanding: session.lowestOutstanding,
    issuedAt,
    key: body.key,
    value: body.value,
    expect: body.expect,
    endKey: body.endKey,
    entries: body.entries,
    step: body.step,
  };
  const bytes = Command.encode(init).finish();
  if (bytes.length > MAX_COMMAND_BYTES) {
    throw new RheaError(
      "BATCH_TOO_LARGE",
      `${operation.name}: ${bytes.length} bytes for one region, ${MAX_COMMAND_BYTES} (8 MiB) are allowed: send it in parts`,
    );
  }
  operation.command = bytes;
}

/** Reads the outcome of a command. Throws the error that it had at apply. */
export function commandResult(result: KvResult): CommandResult {
  const decoded = CommandResult.decode(result.commandResult);
  if (decoded.error !== null) throw errorFromWire(decoded.error);
  return decoded;
}

/** Reads the outcome of a read. */
export function readResult(result: KvResult): ReadResult {
  if (result.read !== null) return result.read;
  throw new RheaError("INTERNAL", "a store answered a read with something else");
}
