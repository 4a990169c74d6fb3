/** Splits a line of the shell into arguments. */
import { RheaError } from "@rhea/common";

/**
 * Splits at blanks; 'single' and "double" quotes group, a backslash takes the next character as it is (not within single quotes).
 *
 * @throws {RheaError} INVALID_ARGUMENT for a quote that is not closed
 */
export function splitCommandLine(line: string): readonly string[] {
  const args: string[] = [];
  let current: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === "\\" && quote !== "'") {
      current = (current ?? "") + line.charAt(++at);
    } else if (quote !== "") {
      if (char === quote) quote = "";
      else current = (current ?? "") + char;
    } else if (char === "'" || char === '"') {
      quote = char;
      current ??= "";
    } else if (/\s/.test(char)) {
      if (current !== undefined) args.push(current);
      current = undefined;
    } else {
      current = (current ?? "") + char;
    }
  }
  if (quote !== "") throw new RheaError("INVALID_ARGUMENT", `${line}: the quote ${quote} is not closed`);
  if (current !== undefined) args.push(current);
  return args;
}
