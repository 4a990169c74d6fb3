import type { Disk } from "@rhea/common";

const CHUNK_BYTES = 1024 * 1024;

/** One end of {@link copyFiles}. */
export interface CopyPlace {
  readonly disk: Disk;
  readonly directory: string;
}

/** Copies files into an empty directory, possibly on another disk. Not durable by itself. */
export async function copyFiles(names: readonly string[], from: CopyPlace, to: CopyPlace): Promise<void> {
  for (const name of names) {
    const source = await from.disk.open(`${from.directory}/${name}`, { create: false });
    try {
      const target = await to.disk.open(`${to.directory}/${name}`, { create: true, exclusive: true });
      try {
        const size = await source.size();
        for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
          await target.write(offset, [await source.read(offset, Math.min(CHUNK_BYTES, size - offset))]);
        }
      } finally {
        await target.close();
      }
    } finally {
      await source.close();
    }
  }
}
