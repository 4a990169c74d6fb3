import { RheaError, type Disk, type DiskFile, type Logger } from "@rhea/common";
import { GroupTable } from "./group-records.js";
import { recover } from "./recovery.js";
import { listSegments } from "./segment-files.js";
import type { GroupSummary } from "./segment-head.js";
import { SegmentSet } from "./segment-set.js";

/** One thing that recovery would say. */
export interface LogFinding {
  /** `warn`: what a crash leaves behind (a torn end that is cut); `error`: damage. */
  readonly level: "warn" | "error";
  /** What was found and where, for people. */
  readonly message: string;
}

/** What the next open would make of a log. */
export interface LogInspection {
  /** The segment files, in order. */
  readonly segments: number;
  /** Why the whole log would be refused; undefined if it would not. */
  readonly refusal: RheaError | undefined;
  /** Everything recovery would say: what it would cut and condemn, and why. Empty for a healthy log. */
  readonly findings: readonly LogFinding[];
  /** State of every group after recovery, by id; empty if the log would be refused. */
  readonly groups: readonly GroupSummary[];
  /** Whether the process that wrote it closed it in order. */
  readonly wasClosedCleanly: boolean;
}

/**
 * Judges the log of a stopped process exactly as the next open would, without writing anything.
 * @throws what the disk throws when the directory cannot be read.
 */
export async function inspectLog(disk: Disk, directory: string): Promise<LogInspection> {
  const sequences = await listSegments(disk, directory);
  const findings: LogFinding[] = [];
  const segments = new SegmentSet();
  const reader = {
    readSync: (sequence: number, offset: number, length: number): Buffer => {
      const { file, path } = segments.get(sequence);
      if (file === undefined) throw new RheaError("INTERNAL", `${path} is not open`);
      return file.readSync(offset, length);
    },
  };
  const table = new GroupTable({ segments, reader });
  const judged = { segments: sequences.length, findings };
  try {
    const logger = collect(findings);
    const recovered = await recover({ disk: withoutWrites(disk), directory, logger, segments, table });
    const groups = [...table.all()].map((group) => group.summary()).sort((a, b) => a.groupId - b.groupId);
    return { ...judged, refusal: undefined, groups, wasClosedCleanly: recovered.wasClosedCleanly };
  } catch (error) {
    return { ...judged, refusal: RheaError.from(error), groups: [], wasClosedCleanly: false };
  } finally {
    for (const segment of segments.all()) await segment.file?.close();
  }
}

function collect(findings: LogFinding[]): Logger {
  const logger: Logger = {
    isEnabled: () => true,
    log: (level, message) => {
      if (level === "warn" || level === "error") findings.push({ level, message });
    },
    child: () => logger,
  };
  return logger;
}

/** The same disk to readers; whatever would change it does nothing. */
function withoutWrites(disk: Disk): Disk {
  const nothing = async (): Promise<void> => undefined;
  const frozen = (file: DiskFile): DiskFile => ({
    read: (offset, length) => file.read(offset, length),
    readSync: (offset, length) => file.readSync(offset, length),
    size: () => file.size(),
    close: () => file.close(),
    write: nothing,
    datasync: nothing,
    truncate: nothing,
  });
  const scratch: DiskFile = {
    read: async () => Buffer.alloc(0),
    readSync: () => Buffer.alloc(0),
    size: async () => 0,
    close: nothing,
    write: nothing,
    datasync: nothing,
    truncate: nothing,
  };
  return {
    open: async (path, options) => (options.create ? scratch : frozen(await disk.open(path, options))),
    stat: (path) => disk.stat(path),
    list: (path) => disk.list(path),
    space: (path) => disk.space(path),
    mkdir: nothing,
    rename: nothing,
    remove: nothing,
    removeTree: nothing,
    syncDir: nothing,
  };
}
