/** One group under load: how the members' CPU time, log and messages are summed up. */
import type { LoadAnswer, LoadRequest, UsageAnswer } from "./member-calls.js";
import type { Trio } from "./members.js";

/** The group that carries the load. */
export const LOADED_GROUP = 1;

/** What a load did, and what it cost each member: store id to what it used meanwhile. */
export interface Measured extends LoadAnswer {
  readonly used: ReadonlyMap<number, UsageAnswer>;
  /** CPU time of all three, in microseconds per operation. */
  readonly cpuPerOperation: number;
}

/** Makes the loaded group on all members, led by store 1. */
export async function makeLoadedGroup(trio: Trio): Promise<void> {
  await trio.createGroups(LOADED_GROUP, 1);
  await trio.member(1).call("lead", LOADED_GROUP);
}

/** Runs a load on one member. */
export async function measure(
  trio: Trio,
  storeId: number,
  kind: "propose" | "read",
  request: Omit<LoadRequest, "group">,
): Promise<Measured> {
  const before = await usage(trio);
  const done = await trio.member(storeId).call(kind, { group: LOADED_GROUP, ...request });
  const after = await usage(trio);
  const used = new Map(after.map((each, i) => [i + 1, difference(each, before[i])]));
  const cpu = [...used.values()].reduce((sum, { cpuMicroseconds }) => sum + cpuMicroseconds, 0);
  return { ...done, used, cpuPerOperation: cpu / done.operations };
}

/** CPU time per operation of each member, as text. */
export function renderCpu({ used, operations, cpuPerOperation }: Measured, leader: number): string {
  const parts = [...used].map(
    ([storeId, { cpuMicroseconds }]) =>
      `store ${storeId}${storeId === leader ? " (here)" : ""} ${(cpuMicroseconds / operations).toFixed(2)}`,
  );
  return `CPU ${cpuPerOperation.toFixed(2)} us per operation: ${parts.join(", ")}`;
}

function usage(trio: Trio): Promise<UsageAnswer[]> {
  return Promise.all(trio.stores.map((storeId) => trio.member(storeId).call("usage")));
}

function difference(after: UsageAnswer, before: UsageAnswer | undefined): UsageAnswer {
  if (before === undefined) return after;
  return {
    cpuMicroseconds: after.cpuMicroseconds - before.cpuMicroseconds,
    turns: after.turns - before.turns,
    syncs: after.syncs - before.syncs,
    syncSeconds: after.syncSeconds - before.syncSeconds,
    messagesSent: after.messagesSent - before.messagesSent,
    readRounds: after.readRounds - before.readRounds,
    leaders: after.leaders,
  };
}
