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
