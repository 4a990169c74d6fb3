/**
 * Terms of a group whose configuration was set by force. Such a reset begins a new generation: term = generation * 2^32 + n. Whoever is in
 * a lower generation belongs to a history that was given up; docs/design/0006-reset-peers.md says why the term is the place to keep that.
 */
import { RheaError } from "@rhea/common";

const TERMS = 2 ** 32;
/** Resets of one group at different peers, which nobody should make, get different generations with this chance against one. */
const LOTS = 256;
/** The log stores terms in 48 bits. */
const MAX_GENERATION = 2 ** 16 - 1;

/** Terms at and above this belong to a group that was reset. */
export const FIRST_RESET_TERM = TERMS;

/** Returns the generation of a term: 0 for a group that was never reset. */
export function generationOf(term: number): number {
  return Math.floor(term / TERMS);
}

/**
 * Returns the term with which the next generation begins; `lot` in [0, 256) is drawn by chance.
 * @throws RheaError OPERATION_REFUSED after 255 resets.
 */
export function nextGenerationTerm(term: number, lot: number): number {
  const generation = (Math.floor(generationOf(term) / LOTS) + 1) * LOTS + (lot % LOTS);
  if (generation > MAX_GENERATION) {
    throw new RheaError("OPERATION_REFUSED", `the group was reset ${MAX_GENERATION >> 8} times: make a new one`);
  }
  return generation * TERMS;
}
