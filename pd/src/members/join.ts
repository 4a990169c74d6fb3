/** A new member's way in: it asks the members that are there for its id. Called once per data directory, before the engine opens. */
import { RheaError, type Logger, type Net, type Scheduler } from "@rhea/common";
import { PdMethods, type AddMemberRequestInit } from "@rhea/proto";
import { memberFromProto, type MemberView } from "./member.js";

const CALL_MS = 3_000;
const PAUSE_MS = 250;
/** Attempts without an answer between two lines of the log. */
const LOG_EVERY = 40;

/** What a joining member knows. */
export interface JoinOptions {
  readonly net: Net;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Where to ask; at least one. */
  readonly addresses: readonly string[];
  readonly request: AddMemberRequestInit;
}

/**
 * Asks until the leader answers; for ever, since a cluster may need any time to come up. Repeating it with the same uuid gives the same id.
 * Throws what the leader refuses with: DISK_LOST, STALE_IDENTITY, CLUSTER_MISMATCH, OPERATION_REFUSED, VERSION_UNSUPPORTED.
 */
export async function joinMembers(options: JoinOptions): Promise<{ memberId: number; members: MemberView[] }> {
  const { addresses, request, scheduler, logger } = options;
  let hint: string | undefined;
  for (let attempt = 0; ; attempt++) {
    const address = hint ?? addresses[attempt % addresses.length];
    if (address === undefined) throw new RheaError("INVALID_CONFIG", "join names no address of a PD member");
    hint = undefined;
    try {
      const { memberId, members } = await ask(options.net, address, request);
      return { memberId, members: members.map(memberFromProto) };
    } catch (thrown) {
      const error = RheaError.from(thrown);
      if (!error.retryable && error.code !== "DEADLINE_EXCEEDED" && error.code !== "CANCELLED") throw error;
      const leader = error.details.leader?.address;
      if (leader !== address) hint = leader;
      if (attempt % LOG_EVERY === 0)
        logger.log("info", "waits for PD's leader to join", { address, code: error.code, error: error.message });
    }
    if (hint === undefined) await new Promise<void>((resolve) => scheduler.setTimer(PAUSE_MS, resolve));
  }
}

async function ask(net: Net, address: string, request: AddMemberRequestInit) {
  const channel = net.connect(address);
  try {
    return await channel.unary(PdMethods.AddMember, request, { timeoutMs: CALL_MS });
  } finally {
    channel.close();
  }
}
