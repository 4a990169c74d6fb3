/** Hands leaderships of a process to others, before it stops or while it is drained. */
import type { Clock, Scheduler } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import type { PeerId } from "../core/types.js";
import type { NodeStatus, RaftNode } from "./api.js";

/**
 * Picks the voter that should take over: the one that follows closest (of equals the one of the highest priority), of those heard of lately
 * that may be elected. Undefined if there is none.
 */
export function pickSuccessor(
  status: NodeStatus,
  activeWithinMs: number,
  among: (peerId: PeerId) => boolean = () => true,
): PeerId | undefined {
  const able = status.progress.filter(
    ({ peerId, role, state, lastActiveMs, priority }) =>
      peerId !== status.peerId &&
      role === "voter" &&
      priority !== 0 &&
      state === "replicate" &&
      lastActiveMs <= activeWithinMs &&
      among(peerId),
  );
  able.sort((a, b) => b.match - a.match || (b.priority ?? -1) - (a.priority ?? -1));
  return able[0]?.peerId;
}

/** What is asked of a group that is to be given away. */
interface Leading {
  readonly core: RawNode | undefined;
  readonly knownIsLeader: boolean;
  status(): NodeStatus;
}

/**
 * Offers a leadership to a voter that has the whole log, as a process does that cannot store anything: nothing has to be written here for
 * that. Returns whether there was one.
 */
export function giveUpLeadership(group: Leading, activeWithinMs: number): boolean {
  const { core } = group;
  if (core === undefined || !group.knownIsLeader) return false;
  const status = group.status();
  if (status.state !== "leader") return false;
  const successor = pickSuccessor(status, activeWithinMs, (peerId) => core.isFollowerSettled(peerId));
  if (successor === undefined) return false;
  core.transferLeader(successor);
  return true;
}

/** What a hand-over needs. */
export interface HandOverOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly timeoutMs: number;
  /** Ms between attempts; also the age at which a voter counts as silent, times ten. */
  readonly stepMs: number;
  readonly nodes: () => Iterable<RaftNode>;
}

/** Moves all leaderships that can be moved; resolves when none is left or at the timeout. */
export async function handOverLeaders({ clock, scheduler, timeoutMs, stepMs, nodes }: HandOverOptions): Promise<void> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const asked = new Set<number>();
  for (;;) {
    let remaining = 0;
    for (const node of nodes()) {
      if (!node.isLeader || !node.listPeers().some(({ peerId, role }) => role === "voter" && peerId !== node.peerId))
        continue;
      remaining++;
      const successor = asked.has(node.groupId) ? undefined : pickSuccessor(node.status(), stepMs * 10);
      if (successor === undefined) continue;
      asked.add(node.groupId);
      const again = (): void => {
        asked.delete(node.groupId);
      };
      node.transferLeadershipTo(successor).then(again, again);
    }
    if (remaining === 0 || clock.monotonicMs() >= deadlineMs) return;
    await new Promise<void>((resolve) => {
      scheduler.setTimer(stepMs, resolve);
    });
  }
}
