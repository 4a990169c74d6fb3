import { createInterface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";

/** Asks a question on a terminal. Only a written yes is one: Ctrl-C and Ctrl-D are a no. */
export async function agrees(question: string, input: Readable, output: Writable): Promise<boolean> {
  const terminal = createInterface({ input, output, terminal: true });
  try {
    const ended = new Promise<string>((resolve) => terminal.once("close", () => resolve(""))); // Ctrl-D
    const answered = terminal.question(question).catch(() => ""); // Ctrl-C
    return /^y(es)?$/i.test((await Promise.race([answered, ended])).trim());
  } finally {
    terminal.close();
  }
}
