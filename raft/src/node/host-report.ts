/** What a host tells of itself: figures for metrics, and a dump that a person can read. */
import type { HostStats, LinkStats } from "./host-api.js";
import type { NodeStatus } from "./node-api.js";

/** Groups that are written out one by one in a dump; of more, those that need a look come first. */
const MAX_GROUP_LINES = 500;

/** What a dump is made of. */
export interface HostReport {
  readonly clusterId: number;
  readonly storeId: number;
  readonly incarnation: number;
  readonly stats: HostStats;
  /** The log's figures, as they are. */
  readonly log: object;
  readonly groups: Iterable<{ status(): NodeStatus; readonly quiet: { readonly rest: object | undefined } }>;
}

/** Writes a dump of a host: some lines of figures, a line for each link and, up to 500, for each group. */
export function describeHost({ clusterId, storeId, incarnation, stats, log, groups }: HostReport): string {
  const { links, ...figures } = stats;
  const lines = [`raft host of store ${storeId}, cluster ${clusterId}, incarnation ${incarnation}`];
  lines.push(`host: ${pairs(figures)}`, `log: ${pairs(log)}`);
  for (const link of links) lines.push(linkLine(link));
  const troubled: string[] = [];
  const fine: string[] = [];
  let omitted = 0;
  for (const group of groups) {
    const status = group.status();
    const list = needsALook(status) ? troubled : fine;
    if (list.length < MAX_GROUP_LINES) list.push(groupLine(status, group.quiet.rest !== undefined));
    else omitted++;
  }
  const shown = [...troubled, ...fine].slice(0, MAX_GROUP_LINES);
  omitted += troubled.length + fine.length - shown.length;
  lines.push(...shown);
  if (omitted > 0) lines.push(`and ${omitted} groups more`);
  return `${lines.join("\n")}\n`;
}

function needsALook({ state, leader, error, applied, committed }: NodeStatus): boolean {
  return error !== undefined || leader === 0 || state === "transferring" || applied < committed;
}

function linkLine({ storeId, state, queuedMessages, queuedBytes, failures }: LinkStats): string {
  return `link to store ${storeId}: ${state}, ${queuedMessages} messages (${queuedBytes} bytes) queued, ${failures} failures`;
}

function groupLine(status: NodeStatus, rests: boolean): string {
  const { groupId, peerId, state, term, leader, truncatedIndex, applied, committed, lastIndex, error } = status;
  const where = `log ${truncatedIndex + 1}..${lastIndex} committed ${committed} applied ${applied}`;
  const followers = status.progress
    .filter((peer) => peer.peerId !== peerId)
    .map((peer) => `${peer.peerId}:${peer.state}:${peer.match}`);
  const tail = [
    ...(rests ? ["rests"] : []),
    ...(followers.length > 0 ? [`followers ${followers.join(" ")}`] : []),
    ...(error === undefined ? [] : [`error ${error.code}: ${error.message}`]),
  ];
  return [`group ${groupId} peer ${peerId}: ${state}, term ${term}, leader ${leader}, ${where}`, ...tail].join(", ");
}

function pairs(figures: object): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");
}
