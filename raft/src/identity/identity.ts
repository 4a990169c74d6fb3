/**
 * Who a process is, on disk: the same small file in the log's and the data's directory. A process that lost one of them has lost its votes
 * or its data and must never go on under its id.
 */
import { RheaError, crc32, readWholeFile, replaceFile, type Disk } from "@rhea/common";

const FILE = "identity.json";
const VERSION = 1;

/** What the files say. PD members use their member id as `storeId`. */
export interface Identity {
  /** The cluster it belongs to. */
  readonly clusterId: number;
  /** Its id, for ever. */
  readonly storeId: number;
  /** The name it was made under: an embedded server's address, a store's name. */
  readonly name: string;
  /** 16 random bytes, hex. */
  readonly uuid: string;
  /** Starts so far; 0 in a file that no process has run on yet. */
  readonly incarnation: number;
}

/** The two places. */
export interface IdentityDirectories {
  /** Where both are. */
  readonly disk: Disk;
  /** The log's directory. */
  readonly logDirectory: string;
  /** The directory of the data that go with the log. */
  readonly dataDirectory: string;
}

/** An identity that was advanced for this start. */
export interface ClaimedIdentity extends Identity {
  /** The data directory's incarnation before: a log with frames of a newer one belongs to other data. */
  readonly previousIncarnation: number;
}

/**
 * Reads both files. Undefined where neither exists. Throws DISK_LOST where one is missing or they disagree, except for what an interrupted
 * creation or start leaves (log first, data second), and CORRUPTION for a damaged file.
 */
export async function readIdentity(
  places: IdentityDirectories,
): Promise<{ log: Identity; data: Identity } | undefined> {
  const log = await readFile(places.disk, places.logDirectory);
  const data = await readFile(places.disk, places.dataDirectory);
  if (log === undefined && data === undefined) return undefined;
  if (log === undefined)
    throw lost(`${places.logDirectory}/${FILE} is missing, ${places.dataDirectory}/${FILE} is there`);
  if (data === undefined) {
    // Nothing ran on it yet: the creation was cut between the two files.
    if (log.incarnation === 0) return { log, data: log };
    throw lost(`${places.dataDirectory}/${FILE} is missing, ${places.logDirectory}/${FILE} is there`);
  }
  if (log.storeId !== data.storeId || log.uuid !== data.uuid || log.clusterId !== data.clusterId) {
    throw lost(`the log is of store ${log.storeId} (${log.uuid}), the data of store ${data.storeId} (${data.uuid})`);
  }
  const ahead = log.incarnation - data.incarnation;
  if (ahead !== 0 && ahead !== 1) {
    throw lost(
      `the log is of incarnation ${log.incarnation}, the data of ${data.incarnation}: one of them is an older image`,
    );
  }
  return { log, data };
}

/** Writes a new identity, durable in both directories, log first. */
export async function createIdentity(
  places: IdentityDirectories,
  identity: Omit<Identity, "incarnation">,
): Promise<void> {
  await writeBoth(places, { ...identity, incarnation: 0 });
}

/**
 * Advances the incarnation for this start, durable in both directories, log first. Throws DISK_LOST where there is none. A start that was cut
 * between the two has run nothing: its incarnation is taken again, so that many such starts in a row (a full volume) do not look like
 * directories that grew apart.
 */
export async function claimIdentity(places: IdentityDirectories): Promise<ClaimedIdentity> {
  const found = await readIdentity(places);
  if (found === undefined) throw lost(`${places.logDirectory} and ${places.dataDirectory} have no ${FILE}`);
  const claimed = { ...found.log, incarnation: found.data.incarnation + 1 };
  await writeBoth(places, claimed);
  return { ...claimed, previousIncarnation: found.data.incarnation };
}

/** Checks that both files are still the ones of `identity`; gives the reason if not. For a process that runs. */
export async function verifyIdentity(places: IdentityDirectories, identity: Identity): Promise<RheaError | undefined> {
  for (const directory of [places.logDirectory, places.dataDirectory]) {
    let found: Identity | undefined;
    try {
      found = await readFile(places.disk, directory);
    } catch (error) {
      return RheaError.from(error);
    }
    if (found?.uuid !== identity.uuid || found.incarnation !== identity.incarnation) {
      return lost(
        `${directory}/${FILE} is ${found === undefined ? "gone" : "another process's"} while store ${identity.storeId} runs`,
      );
    }
  }
  return undefined;
}

async function writeBoth(places: IdentityDirectories, identity: Identity): Promise<void> {
  const body = JSON.stringify({ version: VERSION, ...identity });
  const content = Buffer.from(`${JSON.stringify({ crc: crc32(Buffer.from(body)), body })}\n`);
  for (const directory of [places.logDirectory, places.dataDirectory]) {
    await places.disk.mkdir(directory);
    await replaceFile(places.disk, directory, FILE, content);
  }
}

async function readFile(disk: Disk, directory: string): Promise<Identity | undefined> {
  const path = `${directory}/${FILE}`;
  if ((await disk.stat(path)) === undefined) return undefined;
  const { crc, body } = parse(path, (await readWholeFile(disk, path)).toString()) as { crc?: unknown; body?: unknown };
  if (typeof body !== "string" || crc !== crc32(Buffer.from(body))) throw damaged(path);
  const { version, ...identity } = parse(path, body) as Identity & { version: number };
  if (version !== VERSION)
    throw new RheaError("VERSION_UNSUPPORTED", `${path}: format version ${version} is unknown here`);
  return identity;
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(path);
  }
}

function damaged(path: string): RheaError {
  return new RheaError("CORRUPTION", `${path}: the identity file is damaged; replace this store under a new name`, {
    details: { file: path },
  });
}

function lost(what: string): RheaError {
  return new RheaError("DISK_LOST", `${what}; a store without its disk is replaced under a new name, never continued`);
}
