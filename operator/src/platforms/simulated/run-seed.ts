/** One world from beginning to end: settle, chaos, heal, converge, rest. */
import type { RheaClusterSpec } from "../../api/index.js";
import { RESOURCES } from "../../kube/index.js";
import { act, heal } from "./world/chaos.js";
import { Fleet } from "./world/fleet.js";
import { checkState, watchInvariants } from "./world/invariants.js";
import type { Mutation } from "./world/mutation.js";
import { differences, picture } from "./world/settled.js";
import { BAD_IMAGE, BROKEN_IMAGE, drawSpec, NEW_IMAGE, readSpec, writeSpec } from "./world/user.js";
import { CLUSTER } from "./world/names.js";
import { World } from "./world/world.js";

/** Virtual time in which a new cluster must be ready, and a hurt one whole again. */
const SETTLE_MS = 20 * 60_000;
const CONVERGE_MS = 25 * 60_000;
const HOUR_MS = 3_600_000;

/** How a world is run. */
export interface RunOptions {
  readonly mutation?: Mutation;
  /** Hears the story, line by line. */
  readonly trace?: (line: string) => void;
  /** Whether the world rests for an hour at its end; some do by themselves. */
  readonly restsAnHour?: boolean;
}

/** What became of a world. */
export interface RunReport {
  readonly seed: number;
  /** What went wrong; absent if nothing did. */
  readonly failure?: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly operators: number;
  /** Rare cases, and how often each happened. */
  readonly marks: Readonly<Record<string, number>>;
}

/** Runs the world of a seed. Never throws for what the operator does. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunReport> {
  Error.stackTraceLimit = options.trace === undefined ? 0 : 10; // thousands of errors are part of every world
  const world = new World(seed, options.trace);
  const fleet = new Fleet(world, options.mutation);
  let failure: string | undefined;
  try {
    await live(world, fleet, options.restsAnHour === true);
  } catch (error) {
    failure = (error as Error).message;
  }
  const first = world.violations[0] ?? failure;
  return {
    ...{ seed, virtualMs: Math.round(world.time.nowMs), events: world.time.count, operators: fleet.started },
    marks: Object.fromEntries(world.marks),
    ...(first === undefined ? {} : { failure: first }),
  };
}

async function live(world: World, fleet: Fleet, restsAnHour: boolean): Promise<void> {
  const { machines, placement, random, time } = world;
  const nodes = 3 + random.int(3);
  for (let i = 0; i < nodes; i++) machines.add(`node-${i}`, `zone-${i % 3}`);
  world.crashingImages.set(BROKEN_IMAGE, 1);
  world.badImages.add(BAD_IMAGE);
  placement.setting.regionTarget = 2 + random.int(4);
  const first = drawSpec(world);
  watchInvariants(world, () => {
    const { failover, suspend } = readSpec(world) ?? first;
    return { maxReplacements: failover?.maxReplacements ?? 3, suspend: suspend ?? false };
  });
  writeSpec(world, first);
  fleet.start();
  await settle(world, "a new cluster", SETTLE_MS, first);
  const before = picture(world);

  if (random.chance(0.3)) fleet.size = 2;
  const endMs = time.nowMs + random.between(40_000, random.chance(0.15) ? 500_000 : 160_000);
  const paceMs = random.between(2_000, 15_000);
  const disturb = (): void => {
    if (time.nowMs >= endMs) return;
    act(world, fleet, first);
    time.plan(random.between(100, paceMs), disturb);
  };
  disturb();
  await run(world, endMs, first);

  heal(world, fleet);
  const isSame = random.chance(0.5);
  const last = finalSpec(world, first, isSame);
  writeSpec(world, last);
  world.tell(`-- healed; wanted: ${JSON.stringify(last)}`);
  await settle(world, "after healing", CONVERGE_MS, last);
  if (isSame) comparePictures(before, picture(world));
  await rest(world, fleet, last, random.chance(0.02) || restsAnHour ? HOUR_MS : 45_000);
}

/** What the user wants in the end: the first spec again, or another one that can be had. */
function finalSpec(world: World, first: RheaClusterSpec, isSame: boolean): RheaClusterSpec {
  if (isSame) return first;
  const { random } = world;
  return {
    ...first,
    image: random.chance(0.5) ? NEW_IMAGE : (first.image ?? ""),
    stores: { ...first.stores, replicas: (first.regions?.replicas ?? 3) + random.int(3) },
  };
}

async function run(world: World, untilMs: number, spec: RheaClusterSpec, isDone?: () => boolean): Promise<void> {
  let nextMs = world.time.nowMs;
  await world.time.runUntil(untilMs, () => {
    if (world.violations.length > 0) return true;
    if (world.time.nowMs < nextMs) return false;
    nextMs = world.time.nowMs + 1_000;
    const { failover } = readSpec(world) ?? spec;
    checkState(world, { maxReplacements: failover?.maxReplacements ?? 3, suspend: false });
    return isDone?.() ?? false;
  });
  const [violation] = world.violations;
  if (violation !== undefined) throw new Error(violation);
}

/** Runs until nothing differs from what is wanted, and has not for a while. */
async function settle(world: World, when: string, limitMs: number, spec: RheaClusterSpec): Promise<void> {
  const { time } = world;
  const startMs = time.nowMs;
  let sinceMs: number | undefined;
  await run(world, startMs + limitMs, spec, () => {
    if (differences(world).length > 0) sinceMs = undefined;
    else sinceMs ??= time.nowMs;
    return sinceMs !== undefined && time.nowMs - sinceMs > 12_000;
  });
  const left = differences(world);
  if (left.length > 0) {
    throw new Error(
      `${when}: not settled after ${Math.round((time.nowMs - startMs) / 60_000)} min: ${left.join("; ")}; status: ${statusOf(world)}`,
    );
  }
  world.tell(`-- settled ${when} after ${Math.round((time.nowMs - startMs) / 1000)} s`);
}

function statusOf(world: World): string {
  const { status } = (world.server.find(RESOURCES.rheaClusters, CLUSTER) ?? {}) as { status?: Record<string, unknown> };
  return JSON.stringify({
    blocked: status?.["blocked"],
    plan: status?.["plan"],
    conditions: status?.["conditions"],
  }).slice(0, 1_500);
}

/** A settled cluster costs nothing: no writes, no lists, no changes of PD. */
async function rest(world: World, fleet: Fleet, spec: RheaClusterSpec, durationMs: number): Promise<void> {
  await run(world, world.time.nowMs + 15_000, spec); // late counts may still be written
  fleet.resetCounts();
  await run(world, world.time.nowMs + durationMs, spec);
  const kinds = 11 * fleet.running().length;
  const watches = kinds * Math.ceil(durationMs / 300_000);
  const bounds: [string, number, number][] = [
    ["writes", fleet.writes, 0],
    ["changes of PD", fleet.pdChanges, 0],
    ["lists", fleet.calls("list"), 0],
    ["gets", fleet.calls("get"), fleet.running().length > 1 ? Math.ceil(durationMs / 2_000) : 0],
    ["watches", fleet.calls("watch"), watches],
  ];
  for (const [what, is, limit] of bounds) {
    if (is > limit)
      throw new Error(`a settled cluster made ${is} ${what} in ${Math.round(durationMs / 60_000)} min, limit ${limit}`);
  }
}

function comparePictures(before: readonly string[], after: readonly string[]): void {
  const gone = before.filter((line) => !after.includes(line));
  const come = after.filter((line) => !before.includes(line));
  if (gone.length + come.length > 0 || before.length !== after.length) {
    throw new Error(`back at the first spec, objects differ:\n- ${gone.join("\n- ")}\n+ ${come.join("\n+ ")}`);
  }
}
