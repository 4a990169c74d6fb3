/** Who this PD member is, in a file of its data directory: made at the first start, checked at every later one. */
import { readWholeFile, replaceFile, RheaError, type Disk, type Rng } from "@rhea/common";

const FILE = "identity.json";
const FORMAT = 1;
/** Id of the member that nobody added. Ids of others come from PD's allocator, which begins above it. */
export const FIRST_MEMBER = 1;

/** The identity, already advanced for this start. */
export interface MemberIdentity {
  readonly clusterId: number;
  /** 0: asked for and not known yet. */
  readonly memberId: number;
  readonly name: string;
  /** Hexadecimal. */
  readonly uuid: string;
  /** Rises by one at every start. */
  readonly incarnation: number;
  /** False until this member had the metadata region once: from then on its absence is a loss, not a first start. */
  readonly isReady: boolean;
}

interface IdentityFile extends MemberIdentity {
  readonly format: number;
}

/**
 * Reads the identity and makes its next incarnation durable, or makes a new one. `isExpected`: an empty directory is then a lost disk.
 * `joins`: a new identity has no member id yet, else it is the first member.
 * Throws DISK_LOST, CLUSTER_MISMATCH (other cluster or member name), VERSION_UNSUPPORTED, CORRUPTION.
 */
export async function openMemberIdentity(options: {
  readonly disk: Disk;
  readonly rng: Rng;
  readonly directory: string;
  readonly clusterId: number;
  readonly name: string;
  readonly isExpected: boolean;
  readonly joins: boolean;
}): Promise<MemberIdentity> {
  const { disk, rng, directory, clusterId, name } = options;
  const path = `${directory}/${FILE}`;
  const known = await readIdentity(disk, path);
  if (known === undefined && options.isExpected) {
    throw new RheaError(
      "DISK_LOST",
      `PD ${name}: ${directory} has no identity, though initialState is "existing": its disk is lost`,
    );
  }
  if (known !== undefined && (known.clusterId !== clusterId || known.name !== name)) {
    throw new RheaError(
      "CLUSTER_MISMATCH",
      `${path} belongs to PD ${known.name} of cluster ${known.clusterId}, not to PD ${name} of cluster ${clusterId}: use another dataDir`,
    );
  }
  const identity: MemberIdentity = {
    clusterId,
    memberId: known?.memberId ?? (options.joins ? 0 : FIRST_MEMBER),
    name,
    uuid: known?.uuid ?? rng.bytes(16).toString("hex"),
    incarnation: (known?.incarnation ?? 0) + 1,
    isReady: known?.isReady ?? false,
  };
  await disk.mkdir(directory);
  await writeIdentity(disk, directory, identity);
  return identity;
}

/** Notes, durably, that the metadata region exists from now on. */
export async function markReady(disk: Disk, directory: string, identity: MemberIdentity): Promise<void> {
  if (!identity.isReady) await writeIdentity(disk, directory, { ...identity, isReady: true });
}

/** Notes, durably, the id that PD's leader gave. */
export async function setMemberId(
  disk: Disk,
  directory: string,
  identity: MemberIdentity,
  memberId: number,
): Promise<MemberIdentity> {
  const named = { ...identity, memberId };
  await writeIdentity(disk, directory, named);
  return named;
}

function writeIdentity(disk: Disk, directory: string, identity: MemberIdentity): Promise<void> {
  return replaceFile(disk, directory, FILE, Buffer.from(`${JSON.stringify({ format: FORMAT, ...identity })}\n`));
}

async function readIdentity(disk: Disk, path: string): Promise<MemberIdentity | undefined> {
  if ((await disk.stat(path)) === undefined) return undefined;
  const text = (await readWholeFile(disk, path)).toString();
  const file = parse(text, path);
  if (file.format !== FORMAT) {
    throw new RheaError("VERSION_UNSUPPORTED", `${path} has format ${file.format}, this version reads ${FORMAT}`);
  }
  return file;
}

function parse(text: string, path: string): IdentityFile {
  try {
    const file = JSON.parse(text) as Partial<IdentityFile> | null;
    const { format, clusterId, memberId, name, uuid, incarnation, isReady } = file ?? {};
    if (
      format !== undefined &&
      clusterId !== undefined &&
      memberId !== undefined &&
      name !== undefined &&
      uuid !== undefined &&
      incarnation !== undefined
    ) {
      return { format, clusterId, memberId, name, uuid, incarnation, isReady: isReady === true };
    }
  } catch (cause) {
    throw new RheaError("CORRUPTION", `${path} is no JSON`, { cause, details: { file: path } });
  }
  throw new RheaError("CORRUPTION", `${path} lacks a field`, { details: { file: path } });
}
