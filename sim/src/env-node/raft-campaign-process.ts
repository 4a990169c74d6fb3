/** Runs raft worlds in a process of their own, with a planted bug or without. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Mutant } from "../mutants/index.js";
import type { Flavour } from "../raft/flavours.js";
import type { RaftWorldReport } from "../raft/raft-world.js";

/** Which worlds one process runs: seeds `from`, `from + step`, ... */
export interface RaftPart {
  readonly from: number;
  readonly count: number;
  readonly step: number;
  /** Default: by the seed. */
  readonly flavour?: Flavour;
  /** Default: none. */
  readonly mutant?: Mutant;
}

const SCRIPT = "sim/src/bin/raft-campaign.ts";
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const LOADER = new URL("../../scripts/mutant-loader.mjs", import.meta.url).href;

/**
 * Runs worlds. `onReport` hears of each as it ends and may answer "stop".
 * @throws Error when the process ends badly, with what it wrote.
 */
export async function runRaftPart(
  { from, count, step, flavour, mutant }: RaftPart,
  signal: AbortSignal,
  onReport: (report: RaftWorldReport) => "stop" | undefined,
): Promise<void> {
  const plant = mutant === undefined ? [] : ["--import", LOADER];
  const words = [SCRIPT, String(from), String(count), String(step), ...(flavour === undefined ? [] : [flavour])];
  const child = spawn(process.execPath, ["--conditions=rhea-source", ...plant, "--import=tsx", ...words], {
    cwd: ROOT,
    // The loader must come before tsx, which the caller's options may name.
    env: { ...process.env, NODE_OPTIONS: "", ...(mutant === undefined ? {} : { RHEA_MUTANT: JSON.stringify(mutant) }) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  let isStopped = false;
  for await (const line of createInterface({ input: child.stdout })) {
    if (isStopped || onReport(JSON.parse(line) as RaftWorldReport) !== "stop") continue;
    isStopped = true;
    kill();
  }
  const code = await ended;
  signal.removeEventListener("abort", kill);
  if (!isStopped && code !== 0) throw new Error(`${words.join(" ")} ended with ${String(code)}\n${complaints}`);
}

/** Looks for a planted bug in its own kind of worlds; undefined if none of the promised seeds catches it. */
export async function catchMutant(mutant: Mutant, signal: AbortSignal): Promise<RaftWorldReport | undefined> {
  let caught: RaftWorldReport | undefined;
  const { flavour, caughtWithin: count } = mutant;
  await runRaftPart({ from: 1, count, step: 1, flavour, mutant }, signal, (report) => {
    if (report.failure === undefined) return undefined;
    caught = report;
    return "stop";
  });
  return caught;
}
