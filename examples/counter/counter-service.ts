/** Serves the counter's calls on the server that raft uses too. */
import { RheaError, type RpcServer } from "@rhea/common";
import type { RaftServer } from "@rhea/raft/env-node";
import { COUNTER_GROUP, CounterMethods } from "./counter-methods.js";
import type { CounterStateMachine } from "./counter-state-machine.js";

/** Registers the calls. */
export function addCounterService(server: RpcServer, raft: RaftServer, counter: CounterStateMachine): void {
  server.unary(CounterMethods.IncrementAndGet, async ({ delta }) => {
    if (!Number.isSafeInteger(delta)) {
      throw new RheaError("INVALID_ARGUMENT", `delta ${delta} is no whole number within 2^53`);
    }
    const node = raft.node(COUNTER_GROUP);
    if (!node.isLeader) {
      const leader = node.listPeers().find(({ peerId }) => peerId === node.leaderId);
      return { redirect: leader?.address ?? null };
    }
    const value = await new Promise<number>((resolve, reject) => {
      node.apply({ data: Buffer.from(String(delta)), context: { resolve, reject } });
    });
    return { value };
  });

  server.unary(CounterMethods.Get, async () => {
    // Everything that was acknowledged before this call is applied here when it resolves.
    await raft.node(COUNTER_GROUP).readIndex();
    return { value: counter.value };
  });
}
