/** What the code logs through. Winston stands behind it in processes; tests and the simulator pass their own. */

/** Levels from loudest to quietest. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** Structured logger. Fields are small values: ids, counts, codes. Nothing is logged per message on the raft path. */
export interface Logger {
  /** True if a line of this level would be written: guard expensive fields with it. */
  isEnabled(level: LogLevel): boolean;
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A logger that adds `fields` to each line. */
  child(fields: Readonly<Record<string, unknown>>): Logger;
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  isEnabled: () => false,
  log: () => undefined,
  child: () => silentLogger,
};
