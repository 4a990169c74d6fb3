/** Is one argument of a directive: `key`, `key=value` or `key=(value, value)`. */
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

/**
 * Parses a datadriven file: directives with arguments, input, `----`, and the expected output up to a blank line, or, when a second
 * `----` follows at once, up to a pair of them. Lines that start with # between cases are comments.
 * @throws Error with the line when the file is malformed.
 */
export function parseDatadriven(text: string): Directive[] {
  const lines = text.split("\n");
  const directives: Directive[] = [];
  let at = 0;
  const next = (): string | undefined => lines[at++];
  for (;;) {
    let head = next();
    if (head === undefined) return directives;
    head = head.trim();
    if (head === "" || head.startsWith("#")) continue;
    const line = at;
    while (head.endsWith("\\")) head = head.slice(0, -1) + (next() ?? "").trim();
    const { command, args } = parseDirective(head, line);
    const input: string[] = [];
    for (;;) {
      const row = next();
      if (row === undefined) throw new Error(`line ${line}: no ---- after the directive`);
      if (row === "----") break;
      input.push(row.trim());
    }
    directives.push({ line, command, args, input: input.join("\n").trim(), expected: parseExpected() });
  }

  function parseExpected(): string {
    const out: string[] = [];
    if (lines[at] === "----") {
      at++;
      for (;;) {
        const row = next();
        if (row === undefined) return joined(out);
        if (row === "----" && lines[at] === "----") {
          at++;
          if (lines[at] === "") at++;
          return joined(out);
        }
        out.push(row);
      }
    }
    for (;;) {
      const row = next();
      if (row === undefined || row.trim() === "") return joined(out);
      out.push(row);
    }
  }
}

/**
 * Parses the line of a directive.
 * @throws Error when it is malformed.
 */
export function parseDirective(text: string, line: number): { command: string; args: DirectiveArg[] } {
  const tokens = /\s*(?:([^\s=()]+)(?:\s*=\s*(?:\(([^)]*)\)|"([^"]*)"|(\S*)))?|"([^"]*)")/gy;
  const command = /^\S+/.exec(text)?.[0] ?? "";
  tokens.lastIndex = command.length;
  const args: DirectiveArg[] = [];
  while (tokens.lastIndex < text.trimEnd().length) {
    const found = tokens.exec(text);
    if (found === null) throw new Error(`line ${line}: cannot parse arguments: ${text}`);
    const [, key, list, quoted, value, bare] = found;
    if (bare !== undefined) args.push({ key: bare, values: [] });
    else if (list !== undefined) args.push({ key: key ?? "", values: splitList(list) });
    else args.push({ key: key ?? "", values: (quoted ?? value) === undefined ? [] : [quoted ?? value ?? ""] });
  }
  return { command, args };
}

function splitList(list: string): string[] {
  return list.trim() === "" ? [] : list.split(/[\s,]+/).filter((part) => part !== "");
}

function joined(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join("");
}
