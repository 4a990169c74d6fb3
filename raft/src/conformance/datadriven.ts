/** Is one argument of a directive: `key` (no values), `key=value`, or `key=(value, value)`. */
export interface DirectiveArg {
  readonly key: string;
  readonly values: readonly string[];
}

/** Is one test case of a datadriven file. */
export interface Directive {
  /** Is the line of the directive, from 1. */
  readonly line: number;
  readonly command: string;
  readonly args: readonly DirectiveArg[];
  /** Is the lines between the directive and `----`. */
  readonly input: string;
  readonly expected: string;
}

/** Is thrown for what no published runner would take: the file is at fault, and its directives do not count as answered. */
export class TranscriptError extends Error {}

const SEPARATOR = "----";

/**
 * Parses a datadriven file, as github.com/cockroachdb/datadriven reads it: a directive with arguments, input, `----`, and the expected
 * output up to a blank line, or, when a second `----` follows at once, up to a pair of them. Lines that start with # between cases are
 * comments, a backslash at the end of a directive continues it, `subtest NAME` and `subtest end` only group.
 * @throws TranscriptError with the line when the file is malformed.
 */
export function parseDatadriven(text: string): Directive[] {
  const lines = text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n");
  const directives: Directive[] = [];
  const subtests: string[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = at + 1;
    let head = (lines[at++] ?? "").trim();
    if (head.startsWith("#")) continue;
    while (head.endsWith("\\") && at < lines.length) head = `${head.slice(0, -1)} ${(lines[at++] ?? "").trim()}`;
    const { command, args } = parseDirective(head, line);
    if (command === "") continue;
    if (command === "subtest") {
      takeSubtest(subtests, args, line);
      continue;
    }
    const end = lines.indexOf(SEPARATOR, at);
    if (end < 0) throw new TranscriptError(`line ${line}: no ${SEPARATOR} after the directive ${command}`);
    const input = lines.slice(at, end).join("\n").trim();
    const { expected, next } = readExpected(lines, end + 1);
    at = next;
    directives.push({ line, command, args, input, expected });
  }
  const open = subtests.at(-1);
  if (open !== undefined) throw new TranscriptError(`line ${lines.length}: subtest ${open} has no end`);
  return directives;
}

/** Reads the expected output that begins at row `from`; `next` is the row after it. */
function readExpected(lines: readonly string[], from: number): { expected: string; next: number } {
  if (lines[from] !== SEPARATOR) {
    let end = from;
    while (end < lines.length && lines[end]?.trim() !== "") end++;
    return { expected: joined(lines.slice(from, end)), next: end + 1 };
  }
  for (let end = from + 1; end < lines.length; end++) {
    if (lines[end] !== SEPARATOR || lines[end + 1] !== SEPARATOR) continue;
    if ((lines[end + 2] ?? "") !== "")
      throw new TranscriptError(`line ${end + 3}: a blank line must follow the pair of ${SEPARATOR}`);
    return { expected: joined(lines.slice(from + 1, end)), next: end + 3 };
  }
  return { expected: joined(lines.slice(from + 1)), next: lines.length };
}

function takeSubtest(open: string[], args: readonly DirectiveArg[], line: number): void {
  const [name, ended] = args;
  const current = open.at(-1);
  if (name?.key === "end") {
    if (current === undefined) throw new TranscriptError(`line ${line}: subtest end without a beginning`);
    if (ended !== undefined && ended.key !== current)
      throw new TranscriptError(`line ${line}: the end of subtest ${current} names ${ended.key}`);
    open.pop();
    return;
  }
  if (name === undefined || args.length !== 1) throw new TranscriptError(`line ${line}: a subtest needs one name`);
  if (current !== undefined && !name.key.startsWith(`${current}/`))
    throw new TranscriptError(`line ${line}: the name of a subtest of ${current} begins with it`);
  open.push(name.key);
}

/**
 * Parses the line of a directive. Values in parentheses are separated by commas; parentheses within them nest.
 * @throws TranscriptError when it is malformed.
 */
export function parseDirective(text: string, line: number): { command: string; args: DirectiveArg[] } {
  let rest = text.trim();
  const malformed = (): TranscriptError =>
    new TranscriptError(
      `line ${line}: cannot parse directive at column ${text.trim().length - rest.length + 1}: ${text}`,
    );
  const until = (stop: RegExp): string => {
    const found = rest.search(stop);
    const word = found < 0 ? rest : rest.slice(0, found);
    rest = rest.slice(word.length);
    return word;
  };
  const command = until(/ /);
  const args: DirectiveArg[] = [];
  for (rest = rest.trim(); rest !== ""; rest = rest.trim()) {
    const key = until(/[ =]/);
    if (key === "") throw malformed();
    if (!rest.startsWith("=")) {
      args.push({ key, values: [] });
      continue;
    }
    rest = rest.slice(1);
    if (!rest.startsWith("(")) {
      args.push({ key, values: [until(/ /)] });
      continue;
    }
    const end = closingParenthesis(rest);
    if (end < 0) throw malformed();
    args.push({ key, values: splitList(rest.slice(1, end)) });
    rest = rest.slice(end + 1);
  }
  return { command, args };
}

function closingParenthesis(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return i;
  }
  return -1;
}

function splitList(list: string): string[] {
  const values: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < list.length; i++) {
    if (list[i] === "(") depth++;
    else if (list[i] === ")") depth--;
    else if (list[i] === "," && depth === 0) {
      values.push(list.slice(start, i));
      while (list[i + 1] === " ") i++;
      start = i + 1;
    }
  }
  return [...values, list.slice(start)];
}

function joined(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join("");
}
