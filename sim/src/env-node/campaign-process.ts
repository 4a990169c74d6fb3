/** Runs worlds in a process of their own, so that a campaign uses more than one core. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { WorldReport } from "../world/sim-world.js";

/** Which worlds one process runs: seeds `from`, `from + step`, ... */
export interface CampaignPart {
  readonly from: number;
  readonly count: number;
  readonly step: number;
}

const SCRIPT = fileURLToPath(new URL("../bin/campaign.ts", import.meta.url));

/** The command that runs the same worlds by hand, from the project's root. */
function commandOf({ from, count, step }: CampaignPart): string {
  return `node --conditions=rhea-source --import=tsx sim/src/bin/campaign.ts ${from} ${count} ${step}`;
}

/**
 * Runs a part of a campaign with the flags of this process. `onReport` hears of each world as it ends and may answer "stop".
 * @throws Error when the process ends badly, with what it wrote.
 */
export async function runPart(
  part: CampaignPart,
  signal: AbortSignal,
  onReport: (report: WorldReport) => "stop" | undefined,
): Promise<void> {
  const { from, count, step } = part;
  const words = [from, count, step].map(String);
  const child = spawn(process.execPath, [...process.execArgv, SCRIPT, ...words], {
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
    if (isStopped || onReport(JSON.parse(line) as WorldReport) !== "stop") continue;
    isStopped = true;
    kill();
  }
  const code = await ended;
  signal.removeEventListener("abort", kill);
  if (!isStopped && code !== 0) throw new Error(`${commandOf(part)} ended with ${String(code)}\n${complaints}`);
}

/** Seconds that an act takes. */
export async function secondsOf(act: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await act();
  return (performance.now() - startedMs) / 1000;
}
