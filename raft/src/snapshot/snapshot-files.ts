/** Reading and writing the files of one snapshot through a disk. */
import { readWholeFile, RheaError, type Disk } from "@rhea/common";
import type { SnapshotFiles, SnapshotPosition, SnapshotWriter } from "./api.js";

/**
 * Checks a file's name: it travels to other machines, so that it must not lead out of its directory.
 * @throws RheaError INVALID_ARGUMENT
 */
export function checkSnapshotFileName(name: string): void {
  if (/^[\w.-]+$/.test(name) && !name.startsWith(".")) return;
  const allowed = "letters, digits, _, - and dots, not beginning with a dot";
  throw new RheaError("INVALID_ARGUMENT", `a snapshot's file is named ${JSON.stringify(name)}: use ${allowed}`);
}

/** Gives the files of a snapshot to read. */
export function snapshotFiles(disk: Disk, directory: string, names: readonly string[]): SnapshotFiles {
  return { directory, names, read: (name) => readWholeFile(disk, `${directory}/${name}`) };
}

/** Makes a writer for a snapshot of `position` into an empty directory. */
export function snapshotWriter(disk: Disk, directory: string, position: SnapshotPosition): SnapshotWriter {
  const { index, term, confState, peers } = position;
  const written: string[] = [];
  return {
    index,
    term,
    confState,
    peers,
    directory,
    write: async (name, content) => {
      checkSnapshotFileName(name);
      const file = await disk.open(`${directory}/${name}`, { create: true, exclusive: true });
      written.push(name);
      try {
        await file.write(0, [content]);
      } finally {
        await file.close();
      }
    },
    saved: (names = written) => ({ index, term, confState, peers, names: [...names] }),
  };
}
