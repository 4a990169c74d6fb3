/**
 * The members that a group had when it began in this directory: what its log is replayed from while there is no snapshot. Written once, before
 * the group's first record; what the application says later is not looked at.
 */
import { crc32, readWholeFile, replaceFile, RheaError, type Disk } from "@rhea/common";
import type { PeerInfo } from "../node/api.js";

const VERSION = 1;

function nameOf(groupId: number): string {
  return `group-${groupId}.json`;
}

/** Returns a group's first members, or undefined if it did not begin here. Throws CORRUPTION, VERSION_UNSUPPORTED. */
export async function readFirstMembers(
  disk: Disk,
  directory: string,
  groupId: number,
): Promise<readonly PeerInfo[] | undefined> {
  const path = `${directory}/${nameOf(groupId)}`;
  if ((await disk.stat(path)) === undefined) return undefined;
  try {
    const { crc, body } = JSON.parse((await readWholeFile(disk, path)).toString()) as { crc?: unknown; body?: unknown };
    if (typeof body === "string" && crc === crc32(Buffer.from(body))) {
      const { version, peers } = JSON.parse(body) as { version: number; peers: readonly PeerInfo[] };
      if (version === VERSION) return peers;
      throw new RheaError("VERSION_UNSUPPORTED", `${path}: format version ${version} is unknown here`);
    }
  } catch (error) {
    if (error instanceof RheaError) throw error;
  }
  const advice = "remove its peer from the group and start with an empty directory and `join`";
  throw new RheaError("CORRUPTION", `${path}: the group's first members are damaged: ${advice}`, {
    details: { file: path },
  });
}

/** Writes a group's first members, durably. */
export async function writeFirstMembers(
  disk: Disk,
  directory: string,
  groupId: number,
  peers: readonly PeerInfo[],
): Promise<void> {
  const body = JSON.stringify({ version: VERSION, peers });
  const content = `${JSON.stringify({ crc: crc32(Buffer.from(body)), body })}\n`;
  await replaceFile(disk, directory, nameOf(groupId), Buffer.from(content));
}

/** Forgets a group whose peer was removed. */
export async function removeFirstMembers(disk: Disk, directory: string, groupId: number): Promise<void> {
  await disk.remove(`${directory}/${nameOf(groupId)}`);
  await disk.syncDir(directory);
}
