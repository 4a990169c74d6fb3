/** Logging through winston: one line per entry, to standard error or a file. */
import { createRequire } from "node:module";
import type * as Winston from "winston";
import type { Logger, LogLevel } from "../logger.js";

const ORDER: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/** A process's logger, whose level can change while it runs. */
export interface ProcessLogger extends Logger {
  /** Sets the level, of all its children too. */
  setLevel(level: LogLevel): void;
}

/** Makes a process's logger. Lines: time, level, name, message, fields as JSON. Default: level info, standard error. */
export function createLogger(options: {
  readonly name: string;
  readonly level?: LogLevel;
  readonly file?: string;
}): ProcessLogger {
  // Loaded when the first logger is made: command line tools make none and start faster.
  const winston = createRequire(import.meta.url)("winston") as typeof Winston;
  const level = options.level ?? "info";
  const line = winston.format.printf(({ timestamp, level: at, message, ...fields }) => {
    const extra = Object.keys(fields).length === 0 ? "" : ` ${JSON.stringify(fields)}`;
    return `${String(timestamp)} ${at.padEnd(5)} ${options.name} ${String(message)}${extra}`;
  });
  /* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- winston declares its transports twice */
  const sink: Winston.transport =
    options.file === undefined
      ? new winston.transports.Console({ stderrLevels: Object.keys(ORDER) })
      : new winston.transports.File({ filename: options.file });
  /* eslint-enable @typescript-eslint/no-unsafe-class-instance-assignment */
  const root = winston.createLogger({
    // The level is judged below: winston's own takes microseconds for a line that is not written.
    level: "debug",
    format: winston.format.combine(winston.format.timestamp(), line),
    transports: [sink],
  });
  const limit = { value: ORDER[level] };
  return { ...wrap(root, limit), setLevel: (at) => (limit.value = ORDER[at]) };
}

function wrap(target: Winston.Logger, limit: { readonly value: number }): Logger {
  return {
    isEnabled: (at) => ORDER[at] <= limit.value,
    log: (at, message, fields) => {
      if (ORDER[at] <= limit.value) target.log(at, message, fields ?? {});
    },
    child: (fields) => wrap(target.child(fields), limit),
  };
}
