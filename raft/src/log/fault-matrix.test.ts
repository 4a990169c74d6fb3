/** Runs the fault matrix and holds its outcomes against docs/design/0005-log-faults.md. `RHEA_WRITE_MATRIX=1` writes them there. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { RheaError } from "@rhea/common";
import type { RaftLog } from "./api.js";
import {
  DIRECTORY_FAULTS,
  FAULTS,
  framesOf,
  frameTargets,
  GROUPS,
  groupsOf,
  headTargets,
  makeWorld,
  SEGMENT_BYTES,
  SEGMENT_FAULTS,
  type Target,
  type World,
} from "./fault-matrix.js";
import { frameEnd } from "./frame-codec.js";
import type { TestDisk } from "./test-disk.js";
import { dumpGroup, entries, openTestLog, segmentFile } from "./test-log.js";

const DOCUMENT = fileURLToPath(new URL("../../../docs/design/0005-log-faults.md", import.meta.url));
const BEGIN = "<!-- matrix -->";
const END = "<!-- /matrix -->";

/** What may become of a log. Ordered by how much is lost. */
const OUTCOMES = ["right", "cut", "groups refused", "store refused"] as const;
type Outcome = (typeof OUTCOMES)[number];

/**
 * Opens a damaged log and checks that it is one of the outcomes that are allowed. `concerned`: groups that may be refused; `isFirst`: the first of
 * its cell, also watch over later processes.
 */
async function judge(
  world: World,
  disk: TestDisk,
  concerned: readonly number[],
  label: string,
  isFirst: boolean,
): Promise<Outcome> {
  let log: RaftLog;
  try {
    ({ log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES }));
  } catch (error) {
    const { code, details, message } = RheaError.from(error);
    assert.equal(code, "CORRUPTION", `${label}: ${message}`);
    assert.ok(details.file !== undefined && details.offset !== undefined, `${label}: ${message}`);
    return "store refused";
  }
  const condemned: number[] = [];
  let possible = world.states.map((_, i) => i);
  for (const groupId of GROUPS) {
    const group = log.group(groupId);
    assert.ok(group, `${label}: group ${groupId} is forgotten`);
    if (group.lifecycle.state === "condemned") {
      assert.ok(concerned.includes(groupId), `${label}: group ${groupId} is refused without need`);
      assert.match(group.lifecycle.reason, /offset \d+|in no segment/);
      assert.equal(group.lifecycle.peerId, groupId * 10);
      condemned.push(groupId);
      continue;
    }
    const found = JSON.stringify(dumpGroup(group));
    possible = possible.filter((i) => JSON.stringify(world.states[i]?.[groupId - 1]) === found);
    assert.ok(possible.length > 0, `${label}: group ${groupId} is none of what it was: ${found}`);
  }
  if (isFirst) await assertStaysCondemned(disk, log, condemned, label);
  if (condemned.length > 0) return "groups refused";
  return possible.includes(world.states.length - 1) ? "right" : "cut";
}

/** A condemned group is refused by every later process, also when all segments of the damage are purged or rewritten. */
async function assertStaysCondemned(
  disk: TestDisk,
  opened: RaftLog,
  condemned: readonly number[],
  label: string,
): Promise<void> {
  let log = opened;
  const reasons = condemned.map((groupId) => JSON.stringify(log.group(groupId)?.lifecycle));
  const check = (): void => {
    const now = condemned.map((groupId) => JSON.stringify(log.group(groupId)?.lifecycle));
    assert.deepEqual(now, reasons, label);
  };
  const [busy] = GROUPS.filter((groupId) => !condemned.includes(groupId));
  if (condemned.length === 0 || busy === undefined) return;
  const rest = disk.clone();
  ({ log } = await openTestLog(rest, { segmentBytes: SEGMENT_BYTES }));
  check();
  ({ log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES }));
  const first = disk.files.keys().next().value;
  for (let i = 0; i < 12; i++) {
    const last = log.group(busy)?.lastIndex ?? 0;
    await log.append([
      entries(busy, last + 1, last + 1, 1, SEGMENT_BYTES),
      { kind: "truncate", groupId: busy, index: last, term: log.group(busy)?.term(last) ?? 0 },
    ]);
  }
  check();
  await log.close();
  assert.ok(log.stats().removedSegments > 0, `${label}: nothing was purged, ${String(first)}`);
  for (let i = 0; i < 2; i++) {
    ({ log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES }));
    check();
    await log.close();
  }
}

/** Rows x columns of outcomes. */
class Table {
  readonly #rows = new Map<string, Map<string, Set<Outcome>>>();

  has(row: string, column: string, outcome: Outcome): boolean {
    return this.#rows.get(row)?.get(column)?.has(outcome) === true;
  }

  add(row: string, column: string, outcome: Outcome): void {
    const cells = this.#rows.get(row) ?? new Map<string, Set<Outcome>>();
    this.#rows.set(row, cells);
    cells.set(column, (cells.get(column) ?? new Set()).add(outcome));
  }

  render(first: string, columns: readonly string[]): string {
    const lines = [...this.#rows].map(([row, cells]) => {
      const texts = columns.map((column) => {
        const outcomes = cells.get(column);
        return outcomes === undefined ? "-" : OUTCOMES.filter((outcome) => outcomes.has(outcome)).join(" / ");
      });
      return [row, ...texts];
    });
    const all = [[first, ...columns], ...lines];
    const widths = all[0]?.map((_, i) => Math.max(3, ...all.map((line) => line[i]?.length ?? 0))) ?? [];
    const line = (cells: readonly string[]): string =>
      `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
    const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
    return [line(all[0] ?? []), rule, ...all.slice(1).map(line)].join("\n");
  }
}

/** Where a segment stands, as the rows call it. */
function placeOf(world: World, sequence: number): string {
  const isNewest = sequence === world.segments.at(-1);
  if (!isNewest) return "older segment";
  switch (world.name) {
    case "closed":
      return "newest, closed";
    case "crashed":
      return "newest, crashed";
    case "crashed twice":
      return "newest, empty";
  }
}

/** All groups with a record in the frames that a fault of `target` can reach. */
function concernedBy(world: World, target: Target, fault: string): number[] {
  const { path, start, end } = target;
  const isTail = fault === "truncate" || fault === "zero to the end";
  const [from, to] = isTail ? [start, Infinity] : [start - 512, end + 512];
  const frames = framesOf(world.disk, path).filter((frame) => frameEnd(frame) > from && frame.offset < to);
  return [...new Set(frames.flatMap((frame) => groupsOf(world.disk, path, frame)))];
}

/** Makes something once, whoever asks first. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** Every class of bytes in every place, under every fault. */
const bytesTable = once(async (): Promise<string> => {
  const table = new Table();
  const columns = FAULTS.map(({ what }) => what);
  const tries: { what: string; place: string; world: World; target: Target; isInFlight: boolean }[] = [];
  for (const name of ["closed", "crashed", "crashed twice"] as const) {
    const world = await makeWorld(name);
    const older = name === "closed" ? world.segments.slice(0, 2) : [];
    for (const sequence of [...older, world.segments.at(-1)]) {
      if (sequence === undefined) continue;
      const path = segmentFile(sequence);
      const place = placeOf(world, sequence);
      for (const target of headTargets(world.disk, path))
        tries.push({ what: target.what, place, world, target, isInFlight: false });
      const frames = framesOf(world.disk, path);
      const acknowledged = frames.filter(({ sequence: frame }) => !world.inFlight.includes(frame));
      const middle = acknowledged[Math.floor(acknowledged.length / 2)];
      const chosen = new Set([acknowledged[0], middle, acknowledged.at(-1), ...frames.slice(acknowledged.length)]);
      for (const frame of chosen) {
        if (frame === undefined) continue;
        const isInFlight = world.inFlight.includes(frame.sequence);
        for (const target of frameTargets(world.disk, path, frame))
          tries.push({ what: target.what, place: isInFlight ? "in flight" : place, world, target, isInFlight });
      }
    }
  }
  tries.sort((a, b) => placeRank(a.place) - placeRank(b.place));
  let count = 0;
  for (const { what, place, world, target, isInFlight } of tries) {
    for (const fault of FAULTS) {
      for (const disk of fault.variants(world, target)) {
        const label = `${world.name}, ${place}, ${what} at ${target.path} ${target.start}, ${fault.what}`;
        const row = `${place}: ${what}`;
        const isFirst = !table.has(row, fault.what, "groups refused");
        const outcome = await judge(world, disk, concernedBy(world, target, fault.what), label, isFirst);
        if (outcome === "cut") assert.ok(world.inFlight.length > 0, label);
        const isTear = ["flip", "zero", "truncate", "zero to the end"].includes(fault.what);
        if (isInFlight && isTear && fault.what !== "zero") assert.match(outcome, /right|cut/, label);
        table.add(row, fault.what, outcome);
        count++;
      }
    }
  }
  console.log(`      ${count} damaged logs`);
  return `### Bytes\n\n${table.render("place: bytes", columns)}`;
});

/** Every segment, under every fault of whole files. */
const filesTable = once(async (): Promise<string> => {
  const table = new Table();
  for (const name of ["closed", "crashed", "crashed twice"] as const) {
    const world = await makeWorld(name);
    for (const [i, sequence] of world.segments.entries()) {
      const isNewest = sequence === world.segments.at(-1);
      const which = isNewest ? placeOf(world, sequence) : i === 0 ? "oldest" : "in between";
      for (const fault of SEGMENT_FAULTS) {
        const disk = world.disk.clone();
        fault.apply(world, disk, sequence);
        table.add(which, fault.what, await judge(world, disk, GROUPS, `${name}, ${which}: ${fault.what}`, true));
      }
    }
  }
  const columns = SEGMENT_FAULTS.map(({ what }) => what);
  return `### Whole segments\n\n${table.render("segment", columns)}`;
});

/** Faults of the directory. */
const directoryTable = once(async (): Promise<string> => {
  const table = new Table();
  const names = ["closed", "crashed", "crashed twice"] as const;
  for (const fault of DIRECTORY_FAULTS) {
    for (const name of names) {
      const world = await makeWorld(name);
      const disk = world.disk.clone();
      fault.apply(world, disk);
      table.add(fault.what, name, await judge(world, disk, [], `${name}: ${fault.what}`, true));
    }
  }
  return `### The directory\n\n${table.render("fault", names)}`;
});

describe("the fault matrix of the log", function () {
  this.timeout(120_000);

  for (const [what, make] of [
    ["bytes", bytesTable],
    ["files", filesTable],
    ["directory", directoryTable],
  ] as const) {
    it(`${what}: every outcome is right, or a cut of what was in flight, or a refusal`, async () => {
      assert.ok(await make());
    });
  }

  it("is what docs/design/0005-log-faults.md says", async () => {
    const tables = [await bytesTable(), await filesTable(), await directoryTable()];
    const document = readFileSync(DOCUMENT, "utf8");
    const made = `${BEGIN}\n\n${tables.join("\n\n")}\n\n${END}`;
    const start = document.indexOf(BEGIN);
    const end = document.indexOf(END) + END.length;
    if (process.env["RHEA_WRITE_MATRIX"] === "1") {
      writeFileSync(DOCUMENT, document.slice(0, start) + made + document.slice(end));
      console.log(made);
      return;
    }
    assert.equal(document.slice(start, end), made, "RHEA_WRITE_MATRIX=1 writes it anew");
  });
});

function placeRank(place: string): number {
  return ["older segment", "newest, closed", "newest, empty", "newest, crashed", "in flight"].indexOf(place);
}
