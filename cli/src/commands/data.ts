/** Commands on keys: put, get, del, scan, seq. */
import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { RheaError } from "@rhea/common";
import { keyText, renderJson, write } from "../output.js";
import { fromText, jsonBytes, wholeNumber, type CommandContext } from "./context.js";

/** Options of commands that show or take bytes. */
export interface BytesOptions {
  readonly base64?: boolean;
}

async function valueOf(
  context: CommandContext,
  value: string | undefined,
  options: BytesOptions & { readonly file?: string },
): Promise<Buffer> {
  if (options.file !== undefined) {
    if (value !== undefined)
      throw new RheaError("INVALID_ARGUMENT", "put: both a value and --file are given, one is needed");
    if (options.file === "-") return buffer(context.cli.stdin);
    try {
      return readFileSync(options.file);
    } catch (cause) {
      throw new RheaError(
        "INVALID_ARGUMENT",
        `put: --file ${options.file} cannot be read: ${RheaError.from(cause).message}`,
        {
          cause,
        },
      );
    }
  }
  if (value === undefined)
    throw new RheaError("INVALID_ARGUMENT", "put: no value given: rheactl put KEY VALUE, or --file PATH");
  return fromText(value, options.base64 === true);
}

/** `put KEY VALUE`. Prints nothing in table form. */
export async function put(
  context: CommandContext,
  key: string,
  value: string | undefined,
  options: BytesOptions & { readonly file?: string; readonly ifAbsent?: boolean },
): Promise<void> {
  const bytes = await valueOf(context, value, options);
  const client = await context.client();
  if (options.ifAbsent === true) {
    const previous = await client.putIfAbsent(key, bytes);
    if (previous !== undefined) {
      throw new RheaError("ALREADY_EXISTS", `key ${JSON.stringify(key)}: it has a value of ${previous.length} bytes`);
    }
  } else {
    await client.put(key, bytes);
  }
  if (context.output === "json") await write(context.cli.stdout, renderJson({ key, bytes: bytes.length }));
}

/** `get KEY`. Prints the value as it is, with a newline. */
export async function get(
  context: CommandContext,
  key: string,
  options: BytesOptions & { readonly stale?: boolean },
): Promise<void> {
  const client = await context.client();
  const value = await client.get(key, { readOnlySafe: options.stale !== true });
  if (value === undefined) throw new RheaError("NOT_FOUND", `key ${JSON.stringify(key)}: it is absent`);
  const { stdout } = context.cli;
  if (context.output === "json") {
    await write(stdout, renderJson({ key, ...jsonBytes("value", value, options.base64 === true) }));
  } else {
    await write(
      stdout,
      options.base64 === true ? `${value.toString("base64")}\n` : Buffer.concat([value, Buffer.from("\n")]),
    );
  }
}

/** A range of keys as options give it. */
export interface RangeOptions {
  readonly prefix?: string;
  readonly start?: string;
  readonly end?: string;
}

/** The least key above all that begin with `prefix`; undefined if there is none. */
function endOfPrefix(prefix: Buffer): Buffer | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const end = Buffer.from(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] ?? 0) + 1;
  return end;
}

/** Turns options into [start, end). Throws INVALID_ARGUMENT where prefix and bounds are mixed. */
function rangeOf(options: RangeOptions): {
  start: Buffer | string | undefined;
  end: Buffer | string | undefined;
} {
  const { prefix, start, end } = options;
  if (prefix === undefined) return { start, end };
  if (start !== undefined || end !== undefined) {
    throw new RheaError("INVALID_ARGUMENT", "--prefix and --start/--end exclude each other");
  }
  const bytes = Buffer.from(prefix);
  return { start: bytes, end: endOfPrefix(bytes) };
}

/** `del KEY...`, or all keys of a range. */
export async function del(context: CommandContext, keys: readonly string[], options: RangeOptions): Promise<void> {
  const { start, end } = rangeOf(options);
  const isRange = start !== undefined || end !== undefined;
  if (isRange === keys.length > 0) {
    throw new RheaError("INVALID_ARGUMENT", "del: either keys or a range (--prefix, or --start and --end) is needed");
  }
  const client = await context.client();
  if (isRange) await client.deleteRange(start, end);
  else if (keys.length === 1) await client.delete(keys[0] ?? "");
  else await client.deleteAll(keys);
  if (context.output === "json") {
    await write(context.cli.stdout, renderJson(isRange ? { range: options } : { keys }));
  }
}

/** Options of scan. */
export interface ScanCommandOptions extends RangeOptions, BytesOptions {
  readonly limit?: string;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
}

/** `scan`: one entry per line, `key TAB value`; as JSON one object per line, as `import` reads them. */
export async function scan(context: CommandContext, options: ScanCommandOptions): Promise<void> {
  const { start, end } = rangeOf(options);
  const limit = options.limit === undefined ? undefined : wholeNumber(options.limit, "--limit");
  const isBase64 = options.base64 === true;
  const isKeysOnly = options.keysOnly === true;
  const client = await context.client();
  const entries = client.iterator({
    ...{ start, end, limit },
    reverse: options.reverse === true,
    returnValue: !isKeysOnly,
    bufSize: 1_000,
  });
  let lines: string[] = [];
  for await (const { key, value } of entries) {
    if (context.output === "json") {
      const shown = jsonBytes("key", key, isBase64);
      lines.push(JSON.stringify(isKeysOnly ? shown : { ...shown, ...jsonBytes("value", value, isBase64) }));
    } else {
      const shown = isBase64 ? key.toString("base64") : keyText(key);
      lines.push(isKeysOnly ? shown : `${shown}\t${isBase64 ? value.toString("base64") : keyText(value)}`);
    }
    if (lines.length >= 1_000) {
      await write(context.cli.stdout, lines.join("\n") + "\n");
      lines = [];
    }
  }
  if (lines.length > 0) await write(context.cli.stdout, lines.join("\n") + "\n");
}

/** `seq KEY`: takes numbers, or shows or resets the sequence. */
export async function seq(
  context: CommandContext,
  key: string,
  options: { readonly step?: string; readonly latest?: boolean; readonly reset?: boolean },
): Promise<void> {
  const step = options.step === undefined ? 1 : wholeNumber(options.step, "--step");
  const client = await context.client();
  const { stdout } = context.cli;
  const show = async (json: unknown, text: string): Promise<void> =>
    write(stdout, context.output === "json" ? renderJson(json) : text);
  if (options.reset === true) {
    await client.resetSequence(key);
    await show({ key, reset: true }, "");
  } else if (options.latest === true) {
    const next = await client.getLatestSequence(key);
    await show({ key, next }, `${next}\n`);
  } else {
    const { start, end } = await client.getSequence(key, step);
    await show({ key, start, end }, step === 1 ? `${start}\n` : `${start} ${end}\n`);
  }
}
