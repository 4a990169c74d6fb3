import { deepEqual, equal } from "node:assert/strict";
import type { BasicStatus } from "../core/types.js";
import { RoleWatch } from "./role-watch.js";

const status = (term: number, lead: number, state: BasicStatus["state"]): BasicStatus => ({
  id: 1,
  term,
  vote: 0,
  commit: 0,
  applied: 0,
  leadTransferee: 0,
  lead,
  state,
});

describe("role watch", () => {
  let watch: RoleWatch;
  const look = (term: number, lead: number, state: BasicStatus["state"]): string => {
    const change = watch.look(status(term, lead, state));
    if (change === undefined) return "nothing";
    const { stopped, started, left, joined } = change;
    return [
      ...(stopped === undefined ? [] : ["stops"]),
      ...(left === undefined ? [] : [`leaves ${left.leader}@${left.term}`]),
      ...(started ? ["leads"] : []),
      ...(joined === undefined ? [] : [`follows ${joined.leader}@${joined.term}`]),
    ].join(", ");
  };

  beforeEach(() => {
    watch = new RoleWatch();
  });

  it("pairs the beginning and the end of following, over terms and leaders", () => {
    deepEqual(
      [
        look(1, 2, "follower"),
        look(1, 2, "follower"),
        look(2, 2, "follower"),
        look(2, 3, "follower"),
        look(2, 0, "preCandidate"),
        look(3, 0, "candidate"),
        look(3, 1, "leader"),
        look(4, 2, "follower"),
      ],
      [
        "follows 2@1",
        "nothing",
        "leaves 2@1, follows 2@2",
        "leaves 2@2, follows 3@2",
        "leaves 3@2",
        "nothing",
        "leads",
        "stops, follows 2@4",
      ],
    );
  });

  it("notices a leadership that came back in another term between two looks", () => {
    equal(look(3, 1, "leader"), "leads");
    equal(look(5, 1, "leader"), "stops, leads");
  });
});
