import type { RheaClient } from "@rhea/client";
import { connect } from "@rhea/client/env-node";
import { RheaError } from "@rhea/common";

/** A writer pauses this long between two writes: the test looks at pauses in service, not at the machine's limits. */
const PAUSE_MS = 100;

/** One key, written by one writer, each value a higher number. */
interface Track {
  readonly client: RheaClient;
  readonly key: string;
  readonly regionId: number;
  lastAcknowledged: number;
  lastAttempted: number;
}

/** Clients that write without pause to every region. */
export interface Writers {
  /** Ends the writing and closes the clients. */
  stop(): Promise<void>;
  /** Acknowledged writes so far. */
  acknowledged(): number;
  /** Writes that ended with an error so far: how many, by code, and the first message of each. */
  readonly failures: ReadonlyMap<string, { readonly count: number; readonly first: string }>;
  /** Longest time without an acknowledged write per region, from `sinceMs` (performance.now) until the writing stopped. */
  longestPauses(sinceMs: number): ReadonlyMap<number, number>;
  /** Reads every key: it must hold its last acknowledged or a later attempted value. Returns the number of keys. */
  check(client: RheaClient): Promise<number>;
}

/**
 * Starts `count` clients, each with connections of its own and one key in every region, all written at the same time. Resolves when each
 * has written each of its keys once.
 */
export async function startWriters(
  pd: readonly string[],
  count: number,
  regions: readonly { readonly regionId: number; readonly startKey: Uint8Array }[],
): Promise<Writers> {
  const clients = await Promise.all(Array.from({ length: count }, () => connect({ pd })));
  const tracks = clients.flatMap((client, index) =>
    regions.map(({ regionId, startKey }): Track => {
      const key = `${Buffer.from(startKey).toString()}!writer-${index}`;
      return { client, key, regionId, lastAcknowledged: 0, lastAttempted: 0 };
    }),
  );
  const times = new Map<number, number[]>(regions.map(({ regionId }) => [regionId, []]));
  const failures = new Map<string, { count: number; first: string }>();
  let isStopping = false;
  let stoppedMs = Infinity;

  const write = async (track: Track) => {
    const value = ++track.lastAttempted;
    await track.client.put(track.key, `${track.key}=${value}`);
    track.lastAcknowledged = value;
    times.get(track.regionId)?.push(performance.now());
  };
  const keepWriting = async (track: Track) => {
    while (!isStopping) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      await write(track).catch((error: unknown) => {
        const { code, message } = RheaError.from(error); // the outcome is open: the check takes both
        const seen = failures.get(code);
        failures.set(code, { count: (seen?.count ?? 0) + 1, first: seen?.first ?? message });
      });
    }
  };
  await Promise.all(tracks.map(write)); // opens all connections
  const loops = tracks.map(keepWriting);
  return {
    async stop() {
      isStopping = true;
      stoppedMs = performance.now();
      await Promise.all(loops);
      await Promise.all(clients.map((client) => client.close()));
    },
    acknowledged: () => [...times.values()].reduce((total, list) => total + list.length, 0),
    failures,
    longestPauses: (sinceMs) =>
      new Map([...times].map(([regionId, acknowledged]) => [regionId, longestPause(acknowledged, sinceMs, stoppedMs)])),
    async check(client) {
      for (const { key, lastAcknowledged, lastAttempted } of tracks) {
        const text = (await client.get(key))?.toString() ?? `${key}=0`;
        const value = Number(text.slice(key.length + 1));
        if (text.startsWith(`${key}=`) && value >= lastAcknowledged && value <= lastAttempted) continue;
        throw new Error(
          `${key} reads ${text}; acknowledged up to ${lastAcknowledged}, attempted up to ${lastAttempted}`,
        );
      }
      return tracks.length;
    },
  };
}

function longestPause(times: readonly number[], sinceMs: number, untilMs: number): number {
  const marks = [sinceMs, ...times.filter((time) => time > sinceMs && time < untilMs).sort((a, b) => a - b), untilMs];
  return Math.max(...marks.slice(1).map((time, index) => time - (marks[index] ?? sinceMs)));
}
