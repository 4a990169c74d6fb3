import { TranscriptError, type DirectiveArg } from "./datadriven.js";
import type { PeerId } from "../core/index.js";

/** Is an error that a command answers with: its text is part of the transcript, unlike a `TranscriptError`. */
export class CommandError extends Error {}

/** Is the arguments of one directive. */
export type Args = readonly DirectiveArg[];

/**
 * Reads a whole number of 0 or more.
 * @throws CommandError in the words of Go's strconv when it is none.
 */
export function parseUint(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text)) throw new CommandError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (!Number.isSafeInteger(value))
    throw new CommandError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return value;
}

/**
 * Reads a truth value in any of the spellings Go's strconv takes.
 * @throws CommandError in the words of strconv when it is none.
 */
export function parseBool(text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new CommandError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/**
 * Reads the number of the first argument.
 * @throws TranscriptError when there is none, or it is no number.
 */
export function firstNumber(args: Args): number {
  const [first] = args;
  if (first === undefined) throw new TranscriptError("the command needs a first argument, a number");
  return strictly(first.key, () => parseUint(first.key));
}

/**
 * Reads the numbers of all arguments without values: the peers a command is for.
 * @throws TranscriptError when one of them is no number.
 */
export function plainIds(args: Args): PeerId[] {
  return args.filter(({ values }) => values.length === 0).map(({ key }) => strictly(key, () => parseUint(key)));
}

/**
 * Reads the one value of the argument `key` as a number.
 * @throws TranscriptError when it is missing, or no single number.
 */
export function numberOf(args: Args, key: string): number {
  const values = args.find((arg) => arg.key === key)?.values;
  const [value] = values ?? [];
  if (value === undefined || values?.length !== 1) throw new TranscriptError(`the command needs ${key}=NUMBER`);
  return strictly(`${key}=${value}`, () => parseUint(value));
}

/** Runs a parser whose failure the published runner does not answer but dies of. */
export function strictly<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof CommandError) throw new TranscriptError(`argument ${what}: ${error.message}`);
    throw error;
  }
}
