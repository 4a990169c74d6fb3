/** A bug to plant in one file of the product, as a change of its text: see `sim/scripts/mutant-loader.mjs`. */
import type { Flavour } from "../raft/flavours.js";

/** One planted bug. */
export interface Mutant {
  readonly name: string;
  /** Relative to the project's root. */
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What goes wrong, in one sentence. */
  readonly breaks: string;
  /** The kind of world it is looked for in. */
  readonly flavour: Flavour;
  /** Seeds from 1 on, within which it must be caught. */
  readonly caughtWithin: number;
}
