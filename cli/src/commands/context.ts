/** What a command works with. */
import { isUtf8 } from "node:buffer";
import { RheaError } from "@rhea/common";
import type { Admin, RheaClient } from "@rhea/client";
import type { CliEnvironment } from "../environment.js";
import { renderJson, renderTable, write, type OutputFormat } from "../output.js";

/** One run of a command. */
export interface CommandContext {
  readonly cli: CliEnvironment;
  readonly output: OutputFormat;
  readonly timeoutMs: number;
  /** Connects to the stores and PD; closed when the command ends. */
  client(): Promise<RheaClient>;
  /** Connects to PD alone; closed when the command ends. */
  admin(): Promise<Admin>;
}

/** Prints a result: the JSON value, or the table. */
export async function print(
  context: CommandContext,
  json: unknown,
  headers: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  const text = context.output === "json" ? renderJson(json) : renderTable(headers, rows);
  await write(context.cli.stdout, text);
}

/** Reads a whole number of an argument. Throws INVALID_ARGUMENT. */
export function wholeNumber(text: string, what: string, min = 1): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= min && text.trim() !== "") return value;
  throw new RheaError(
    "INVALID_ARGUMENT",
    `${what}: ${JSON.stringify(text)} given, a whole number from ${min} on is needed`,
  );
}

/**
 * A field of JSON output: text, or base64 where asked for. Bytes that are no text go into `<name>Base64`, so that nothing is lost; `import`
 * reads either.
 */
export function jsonBytes(name: string, bytes: Buffer, isBase64: boolean): Readonly<Record<string, string>> {
  if (isBase64) return { [name]: bytes.toString("base64") };
  return isUtf8(bytes) ? { [name]: bytes.toString() } : { [`${name}Base64`]: bytes.toString("base64") };
}

/** Bytes of an argument: UTF-8, or decoded from base64 where asked for. Throws INVALID_ARGUMENT. */
export function fromText(text: string, isBase64: boolean): Buffer {
  if (!isBase64) return Buffer.from(text);
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "")) return bytes;
  throw new RheaError("INVALID_ARGUMENT", `${JSON.stringify(text)}: it is not base64`);
}
