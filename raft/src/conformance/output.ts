import { CommandError } from "./arguments.js";
import type { RaftEventLevel } from "../core/index.js";

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];
const NONE = LEVELS.length - 1;
const LEVEL_OF: Record<RaftEventLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Collects what a directive prints; at level NONE it swallows everything. */
export class TranscriptOutput {
  #text = "";
  #level = 0;

  get level(): number {
    return this.#level;
  }

  set level(level: number) {
    this.#level = level;
  }

  /**
   * Sets the level by its name, in any case.
   * @throws CommandError when there is none of that name.
   */
  setLevelNamed(name: string): void {
    const level = LEVELS.indexOf(name.toUpperCase());
    if (level < 0) throw new CommandError(`log levels must be either of [${LEVELS.join(" ")}]`);
    this.#level = level;
  }

  get isQuiet(): boolean {
    return this.#level === NONE;
  }

  write(text: string): void {
    if (!this.isQuiet) this.#text += text;
  }

  log(level: RaftEventLevel, text: string): void {
    if (LEVEL_OF[level] >= this.#level) this.write(`${LEVELS[LEVEL_OF[level]] ?? ""} ${text}\n`);
  }

  /** Indents by two blanks, line by line, what `body` prints. */
  indented(body: () => void): void {
    const before = this.#text;
    this.#text = "";
    try {
      body();
    } finally {
      const rows = this.#text === "" ? [] : this.#text.replace(/\n$/, "").split("\n");
      this.#text = before + rows.map((row) => `  ${row}\n`).join("");
    }
  }

  /** Returns what was printed and starts afresh. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}
