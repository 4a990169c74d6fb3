/**
 * Peers as people write them: `host:port[:index[:priority]]`, and lists of them. The address says which process it is: its store id follows
 * from it, so that everybody, the process itself included, works out the same one. The index is the peer id; without it (or 0) it is not
 * said: a group's first members are numbered by {@link firstPeers}, later ones by the leader that adds them.
 */
import { createHash } from "node:crypto";
import { RheaError } from "@rhea/common";
import type { PeerInfo } from "../node/index.js";

/** The members of a group, as far as somebody knows them. */
export type Configuration = readonly PeerInfo[];

// An IPv6 address stands in brackets.
const PEER = /^(\[[^\]\s]+\]|[^:\s[\],/]+):(\d{1,5})(?::(\d{0,16}))?(?::(-?\d{1,9}))?(\/learner)?$/;

/**
 * Reads one peer: `host:port`, `host:port:index`, `host:port:index:priority` (the index may be empty), with `/learner` behind it for one that
 * does not vote. Priority as in JRaft: -1 not judged, 0 never elected, else the higher the sooner.
 * @throws RheaError INVALID_ARGUMENT that says what is wrong with which part.
 */
export function parsePeer(text: string): PeerInfo {
  const trimmed = text.trim();
  const match = PEER.exec(trimmed);
  if (match === null) throw malformed(trimmed, "it is not host:port[:index[:priority]][/learner]");
  const [, host = "", port = "", index = "", priority, suffix] = match;
  if (Number(port) < 1 || Number(port) > 65_535) throw malformed(trimmed, `port ${port} is not in 1..65535`);
  const peerId = Number(index);
  if (!Number.isSafeInteger(peerId)) throw malformed(trimmed, `index ${index} is over ${Number.MAX_SAFE_INTEGER}`);
  if (priority !== undefined && Number(priority) < -1) throw malformed(trimmed, `priority ${priority} is below -1`);
  const address = `${host.toLowerCase()}:${Number(port)}`;
  return {
    peerId,
    storeId: storeIdOf(address),
    role: suffix === undefined ? "voter" : "learner",
    address,
    ...(priority === undefined ? {} : { priority: Number(priority) }),
  };
}

/**
 * Reads a list of peers, separated by commas: `a:1,b:2,c:3/learner`.
 * @throws RheaError INVALID_ARGUMENT for an empty list, a malformed peer, or two peers at one address.
 */
export function parseConfiguration(text: string): Configuration {
  const parts = text.split(",").filter((part) => part.trim() !== "");
  if (parts.length === 0) throw new RheaError("INVALID_ARGUMENT", `configuration "${text}": it names no peer`);
  const peers = parts.map(parsePeer);
  const seen = new Set<number>();
  for (const { address = "", storeId } of peers) {
    if (seen.has(storeId)) throw malformed(text, `${address} is named twice: a process has one peer of a group`);
    seen.add(storeId);
  }
  return peers;
}

/**
 * Writes a peer so that {@link parsePeer} reads it back.
 * @throws RheaError INVALID_ARGUMENT for a peer without an address.
 */
export function formatPeer({ peerId, storeId, role, address, priority }: PeerInfo): string {
  if (address === undefined) {
    throw new RheaError("INVALID_ARGUMENT", `peer ${peerId} on store ${storeId} has no address to write down`);
  }
  const index = peerId === 0 ? "" : String(peerId);
  const tail = priority === undefined ? (index === "" ? "" : `:${index}`) : `:${index}:${priority}`;
  return `${address}${tail}${role === "learner" ? "/learner" : ""}`;
}

/** Writes a configuration so that {@link parseConfiguration} reads it back. */
export function formatConfiguration(configuration: Configuration): string {
  return configuration.map(formatPeer).join(",");
}

/**
 * Returns the store id of the process at an address: 48 bits of its SHA-256. Two of a hundred addresses share one with a probability of about
 * 2 in 10^11; {@link parseConfiguration} refuses a list in which that happens.
 */
export function storeIdOf(address: string): number {
  return createHash("sha256").update(address.trim().toLowerCase()).digest().readUIntBE(0, 6) || 1;
}

/**
 * Gives the first members of a group their peer ids, the same in every process that is given the same list in whatever order: 1, 2, ...
 * along their addresses; indexes that are said stay.
 */
export function firstPeers(configuration: Configuration): PeerInfo[] {
  const taken = new Set(configuration.map(({ peerId }) => peerId));
  let last = 0;
  const next = (): number => {
    do last++;
    while (taken.has(last));
    return last;
  };
  return [...configuration]
    .sort(({ address: a = "" }, { address: b = "" }) => (a < b ? -1 : a > b ? 1 : 0))
    .map((peer) => (peer.peerId === 0 ? { ...peer, peerId: next() } : peer));
}

function malformed(text: string, why: string): RheaError {
  return new RheaError("INVALID_ARGUMENT", `peer "${text}": ${why}`);
}
