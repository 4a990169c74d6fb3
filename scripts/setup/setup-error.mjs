/** Says why a clone cannot be made ready, and what to do about it. */
export class SetupError extends Error {
  /**
   * @param {string} cause what failed, with the output that shows it
   * @param {string} nextStep what the reader should do
   */
  constructor(cause, nextStep) {
    super(`setup: ${cause}\nnext step: ${nextStep}`);
    this.name = "SetupError";
  }
}

/**
 * Returns the last lines of a tool's output.
 *
 * @param {string} output
 * @param {number} [lines]
 */
export function tail(output, lines = 40) {
  return output.trimEnd().split("\n").slice(-lines).join("\n");
}
