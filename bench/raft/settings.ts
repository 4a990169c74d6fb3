/** The flags that all raft benchmarks share, and how their figures are printed. */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { renderFigure, type Figure } from "../report.js";

/** The names of the flags with a number. */
export type Count = "seconds" | "outstanding" | "value-bytes" | "groups" | "kills";

/** What was asked for. */
export interface Settings {
  /** A short run that shows that the benchmark works, for CI. */
  readonly quick: boolean;
  /** Directory for CPU profiles of the members. */
  readonly profile: string | undefined;
  /** A number given, or the default of the kind of run. */
  count(name: Count, usual: number, quick: number): number;
}

/** Reads the flags behind the benchmark's name; ends the process where they make no sense. */
export function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      profile: { type: "string" },
      seconds: { type: "string" },
      outstanding: { type: "string" },
      "value-bytes": { type: "string" },
      groups: { type: "string" },
      kills: { type: "string" },
    },
  });
  const { quick, profile } = values;
  return {
    quick,
    profile,
    count: (name, usual, short) => {
      const given = values[name];
      if (given === undefined) return quick ? short : usual;
      const value = Number(given);
      if (Number.isSafeInteger(value) && value >= 1) return value;
      process.stderr.write(`--${name}: ${given} given, a whole number from 1 on is needed\n`);
      process.exit(2);
    },
  };
}

/** Prints one line. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints one row of goal and measured. */
export function row(figure: Figure): void {
  say(renderFigure(figure));
}

/** Prints what the figures depend on. */
export function sayMachine(what: string): void {
  say(`${what}; ${cpus().length} cores, Node ${process.version}`);
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
