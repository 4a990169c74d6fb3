/** Planted bugs: ways in which the operator is made worse, to see that the simulation notices. */

/** Names of the planted bugs; README.md says what each does. */
export const MUTATIONS = [
  "ignorePreconditions",
  "ignoreExpectations",
  "deletesVolumesEarly",
  "noReplacementCap",
  "withoutElection",
  "forgetsOrdinals",
] as const;

/** A planted bug. */
export type Mutation = (typeof MUTATIONS)[number];
