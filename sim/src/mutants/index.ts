/** mutants: bugs that are planted to see whether the raft worlds notice them. Tests only; the product has no switch for any of them. */
import { CORE_MUTANTS } from "./core-mutants.js";
import { LOG_MUTANTS } from "./log-mutants.js";
import { NODE_MUTANTS } from "./node-mutants.js";
import type { Mutant } from "./mutant.js";

export type { Mutant } from "./mutant.js";

/** Every mutant. */
export const MUTANTS: readonly Mutant[] = [...CORE_MUTANTS, ...LOG_MUTANTS, ...NODE_MUTANTS];
