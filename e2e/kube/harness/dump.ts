/** What a failed story leaves for its reader: files in the report directory, and the tail of the most telling ones on the screen. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listObjects } from "./api.js";
import { runProgram } from "./command.js";
import type { Pod } from "./kinds.js";
import { OPERATOR_LABELS, OPERATOR_NAMESPACE } from "./operator.js";

const SHOWN_LINES = 15;

async function kubectl(...args: readonly string[]): Promise<string> {
  const { out, err } = await runProgram("kubectl", args, { timeoutMs: 30_000 });
  return out + err;
}

async function dumpLogs(namespace: string, labels: string, folder: string): Promise<void> {
  for (const { metadata, status } of await listObjects<Pod>("Pod", namespace, labels)) {
    const { name } = metadata;
    writeFileSync(join(folder, `${name}.log`), await kubectl("-n", namespace, "logs", name, "--timestamps"));
    if ((status?.containerStatuses?.[0]?.restartCount ?? 0) === 0) continue;
    const previous = await kubectl("-n", namespace, "logs", name, "--timestamps", "--previous");
    writeFileSync(join(folder, `${name}.previous.log`), previous);
  }
}

/** A short view of a namespace for failure texts: pods and the last events. */
export async function glance(namespace: string): Promise<string> {
  const pods = await kubectl("-n", namespace, "get", "pods,pvc", "-o", "wide");
  const events = await kubectl("-n", namespace, "get", "events", "--sort-by=.lastTimestamp");
  return `${pods.trimEnd()}\nlast events:\n${events.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n")}`;
}

/** Writes all that is known of a namespace and of the operator into a directory, and prints the end of it. Never throws. */
export async function dump(namespace: string, title: string): Promise<void> {
  try {
    const folder = join(process.env["RHEA_KUBE_REPORT"] ?? "kube-report", title.replace(/[^\w.-]+/g, "-"));
    mkdirSync(join(folder, "operator"), { recursive: true });
    const views = {
      "pods.txt": ["-n", namespace, "get", "pods,pvc,services,pdb", "-o", "wide"],
      "pods.yaml": ["-n", namespace, "get", "pods,pvc", "-o", "yaml"],
      "events.txt": ["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"],
      "rhea.yaml": ["-n", namespace, "get", "rheaclusters,rheastores", "-o", "yaml"],
      "nodes.txt": ["get", "nodes", "-o", "wide"],
    };
    for (const [file, args] of Object.entries(views)) writeFileSync(join(folder, file), await kubectl(...args));
    await dumpLogs(namespace, "", folder);
    await dumpLogs(OPERATOR_NAMESPACE, OPERATOR_LABELS, join(folder, "operator"));
    console.log(`      ${(await glance(namespace)).replaceAll("\n", "\n      ")}`);
    const operator = await kubectl("-n", OPERATOR_NAMESPACE, "logs", "-l", OPERATOR_LABELS, `--tail=${SHOWN_LINES}`);
    console.log(`      operator:\n      ${operator.trimEnd().replaceAll("\n", "\n      ")}`);
    console.log(`      all of it: ${folder}`);
  } catch (error) {
    console.log(`      the report could not be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}
