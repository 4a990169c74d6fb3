import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { RheaClient } from "@rhea/client";

const CHUNK = 100;
const PACKAGE_QUERY = "dpkg-query";

/** Real records: key to value. */
export interface Records {
  /** Where they come from. */
  readonly source: string;
  readonly entries: ReadonlyMap<string, string>;
}

/**
 * Reads the machine's package database, one JSON line per package; where there is no `dpkg-query`, the entries of the project's lock file.
 */
export function readRecords(lockFile: string): Records {
  const format =
    "${Package}\\t${Architecture}\\t${Version}\\t${Section}\\t${Installed-Size}\\t${Depends}\\t${binary:Summary}\\n";
  const result = spawnSync(PACKAGE_QUERY, ["--show", `--showformat=${format}`], {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (result.status === 0) {
    const lines = result.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map(packageLine);
    return { source: "dpkg-query", entries: fromLines(lines) };
  }
  const lock = JSON.parse(readFileSync(lockFile, "utf8")) as { packages: Record<string, Record<string, unknown>> };
  const lines = Object.entries(lock.packages).map(([name, entry]) => JSON.stringify({ package: name, ...entry }));
  return { source: "package-lock.json", entries: fromLines(lines) };
}

function packageLine(line: string): string {
  const [name, architecture, version, section, installedKiB, depends, summary] = line.split("\t");
  const size = Number(installedKiB);
  return JSON.stringify({ package: name, architecture, version, section, installedKiB: size, depends, summary });
}

function fromLines(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    lines.map((line) => {
      const { package: name, architecture } = JSON.parse(line) as { package: string; architecture?: string };
      return [`package/${name === "" ? "." : name}${architecture === undefined ? "" : `:${architecture}`}`, line];
    }),
  );
}

/** Writes all records. */
export async function importRecords(client: RheaClient, { entries }: Records): Promise<void> {
  const list = [...entries].map(([key, value]) => ({ key, value }));
  for (let at = 0; at < list.length; at += CHUNK) await client.putAll(list.slice(at, at + CHUNK));
}

/** Reads each record and compares it. Returns how many were read; throws at the first that is lost or wrong. */
export async function checkRecords(client: RheaClient, { entries }: Records): Promise<number> {
  const keys = [...entries.keys()];
  for (let at = 0; at < keys.length; at += CHUNK) {
    const chunk = keys.slice(at, at + CHUNK);
    const values = await client.multiGet(chunk);
    chunk.forEach((key, index) => {
      const value = values[index]?.toString();
      if (value !== entries.get(key))
        throw new Error(`${key} reads ${value ?? "nothing"}, was ${entries.get(key) ?? ""}`);
    });
  }
  return keys.length;
}

/** Scans one prefix and compares keys, values and order. Returns the number of entries. */
export async function checkScan(client: RheaClient, { entries }: Records, prefix: string): Promise<number> {
  const expected = [...entries]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const last = String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  const found = await client.scan({ start: prefix, end: prefix.slice(0, -1) + last });
  if (found.length !== expected.length)
    throw new Error(`scan of ${prefix}: ${found.length} entries, wanted ${expected.length}`);
  expected.forEach(([key, value], index) => {
    const entry = found[index];
    if (entry?.key.toString() !== key || entry.value.toString() !== value) {
      throw new Error(`scan of ${prefix}: entry ${index} is ${entry?.key.toString() ?? "absent"}, wanted ${key}`);
    }
  });
  return found.length;
}
