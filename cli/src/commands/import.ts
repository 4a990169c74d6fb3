/** `import`: JSON lines `{"key": ..., "value": ...}` from a file or standard input, many writes at a time. */
import { createReadStream, statSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { RheaError } from "@rhea/common";
import type { RheaClient } from "@rhea/client";
import { renderJson, write } from "../output.js";
import { fromText, wholeNumber, type CommandContext } from "./context.js";
import type { BytesOptions } from "./data.js";

/** Lines with errors that are shown one by one. */
const MAX_SHOWN_ERRORS = 20;
const PROGRESS_MS = 500;

/** Options of import. */
export interface ImportOptions extends BytesOptions {
  /** Writes under way at a time; default 256. */
  readonly concurrency?: string;
}

interface ImportRecord {
  readonly key: Buffer;
  readonly value: Buffer;
}

function parseLine(line: string, isBase64: boolean): ImportRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw new RheaError("INVALID_ARGUMENT", "it is not JSON", { cause });
  }
  const fields = (typeof parsed === "object" && parsed !== null ? parsed : {}) as Readonly<Record<string, unknown>>;
  return { key: bytesOf(fields, "key", isBase64), value: bytesOf(fields, "value", isBase64) };
}

function bytesOf(fields: Readonly<Record<string, unknown>>, name: string, isBase64: boolean): Buffer {
  const { [name]: text, [`${name}Base64`]: base64 } = fields;
  if (typeof text === "string") return fromText(text, isBase64);
  if (text === undefined && typeof base64 === "string") return fromText(base64, true);
  throw new RheaError("INVALID_ARGUMENT", `"${name}" is no string`);
}

class Import {
  imported = 0;
  failed = 0;
  firstError: RheaError | undefined;
  readonly #context: CommandContext;
  readonly #client: RheaClient;
  readonly #isBase64: boolean;
  readonly #concurrency: number;
  #open = 0;
  #onRoom: (() => void) | undefined;
  #shownAtMs: number;

  constructor(context: CommandContext, client: RheaClient, isBase64: boolean, concurrency: number) {
    this.#context = context;
    this.#client = client;
    this.#isBase64 = isBase64;
    this.#concurrency = concurrency;
    this.#shownAtMs = context.cli.now();
  }

  async run(input: Readable): Promise<void> {
    let lineNumber = 0;
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      lineNumber++;
      if (line.trim() === "") continue;
      this.#start(line, lineNumber);
      if (this.#open >= this.#concurrency) await this.#room();
      this.#showProgress();
    }
    while (this.#open > 0) await this.#room();
    if (this.#context.cli.isTerminal) this.#context.cli.stderr.write("\r\x1b[K");
  }

  #start(line: string, lineNumber: number): void {
    let record: ImportRecord;
    try {
      record = parseLine(line, this.#isBase64);
    } catch (error) {
      this.#fail(lineNumber, error);
      return;
    }
    this.#open++;
    this.#client.put(record.key, record.value).then(
      () => {
        this.imported++;
        this.#finish();
      },
      (error: unknown) => {
        this.#fail(lineNumber, error);
        this.#finish();
      },
    );
  }

  #finish(): void {
    this.#open--;
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  #fail(lineNumber: number, thrown: unknown): void {
    const error = RheaError.from(thrown);
    this.failed++;
    this.firstError ??= error;
    if (this.failed > MAX_SHOWN_ERRORS) return;
    this.#context.cli.stderr.write(`line ${lineNumber}: ${error.code}: ${error.message}\n`);
  }

  #showProgress(): void {
    const { cli } = this.#context;
    const now = cli.now();
    if (!cli.isTerminal || now - this.#shownAtMs < PROGRESS_MS) return;
    this.#shownAtMs = now;
    cli.stderr.write(`\r${this.imported} imported, ${this.failed} failed\x1b[K`);
  }
}

/** Imports. Lines with errors are named and skipped; the command then ends with the first error's code. */
export async function importLines(
  context: CommandContext,
  file: string | undefined,
  options: ImportOptions,
): Promise<void> {
  const concurrency = options.concurrency === undefined ? 256 : wholeNumber(options.concurrency, "--concurrency");
  const { cli } = context;
  const input = file === undefined || file === "-" ? cli.stdin : await openFile(file);
  const startMs = cli.now();
  const run = new Import(context, await context.client(), options.base64 === true, concurrency);
  await run.run(input);
  const seconds = Math.round((cli.now() - startMs) / 10) / 100;
  const { imported, failed, firstError } = run;
  const text = `imported ${imported} records, ${failed} failed, ${seconds} s\n`;
  await write(cli.stdout, context.output === "json" ? renderJson({ imported, failed, seconds }) : text);
  if (firstError !== undefined) {
    throw new RheaError(
      firstError.code,
      `import: ${failed} of ${imported + failed} records failed, the first with: ${firstError.message}`,
    );
  }
}

function openFile(path: string): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const refuse = (message: string, cause?: unknown) =>
      reject(new RheaError("INVALID_ARGUMENT", `import: ${path} cannot be read: ${message}`, { cause }));
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
      refuse("it is a directory");
      return;
    }
    const stream = createReadStream(path);
    stream.once("open", () => resolve(stream));
    stream.once("error", (cause) => refuse(cause.message, cause));
  });
}
