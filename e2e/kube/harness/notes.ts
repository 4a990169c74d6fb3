/** Measured values for the closing table. */
import { appendFileSync } from "node:fs";

/** Notes a measured value: it is printed at once and in the table at the end of the run. */
export function note(what: string, value: string): void {
  console.log(`      ${what}: ${value}`);
  const file = process.env["RHEA_KUBE_NOTES"];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ what, value })}\n`);
}
