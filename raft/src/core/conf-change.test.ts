import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import fc from "fast-check";
import { decodeConfChange, decodeConfChangeV2, encodeConfChange, encodeConfChangeV2 } from "./conf-change-codec.js";
import {
  applyConfChangeTo,
  enterJoint,
  leaveJoint,
  nextConfState,
  restoreMembership,
  simpleChange,
  type ChangedMembership,
} from "./conf-change.js";
import { jointCommittedIndex } from "./quorum.js";
import type { ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState } from "./types.js";

const OPTIONS = { lastIndex: 10, maxInflightMsgs: 4, maxInflightBytes: 1000 };
const PLAIN = { noNullPrototype: true } as const;
const type = fc.constantFrom<ConfChangeType[]>("addNode", "removeNode", "updateNode", "addLearnerNode");
const single = fc.record({ type, nodeId: fc.integer({ min: 1, max: 6 }) }, PLAIN);
const transition = fc.constantFrom<ConfChangeTransition[]>("auto", "jointImplicit", "jointExplicit");
const changes = fc.array(single, { maxLength: 5 });
const change = fc.record({ transition, changes, context: fc.uint8Array({ maxLength: 5 }) }, PLAIN);

/** Makes a membership by a random walk: changes that do not fit are left out. */
const membership = fc.array(change, { maxLength: 12 }).map((changes) => {
  let at = withVoters(1);
  for (const next of changes) at = attempt(() => applyConfChangeTo(at, OPTIONS, next)) ?? at;
  return at;
});

function withVoters(...voters: number[]): ChangedMembership {
  return restoreMembership(conf({ voters }), OPTIONS);
}

function conf(part: Partial<ConfState>): ConfState {
  return { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false, ...part };
}

function attempt<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    assert.ok(error instanceof RheaError && error.code === "OPERATION_REFUSED", String(error));
    return undefined;
  }
}

/** Lists the smallest sets of voters that decide in a membership: all that have a majority of either half. */
function quorumsOf({ voters, votersOutgoing }: ConfState): number[][] {
  const all = [...new Set([...voters, ...votersOutgoing])];
  const isQuorum = (ids: readonly number[]): boolean =>
    [voters, votersOutgoing].every(
      (half) => half.length === 0 || half.filter((id) => ids.includes(id)).length * 2 > half.length,
    );
  const subsets = all.reduce<number[][]>((sets, id) => [...sets, ...sets.map((ids) => [...ids, id])], [[]]);
  const quorums = subsets.filter(isQuorum);
  return quorums.filter((ids) => !ids.some((id) => isQuorum(ids.filter((other) => other !== id))));
}

function roles(at: ChangedMembership): [number, boolean][] {
  return [...at.progress.values()].map((pr): [number, boolean] => [pr.id, pr.isLearner]).sort((a, b) => a[0] - b[0]);
}

describe("membership changes", () => {
  it("a simple change leads where the same change leads through a joint configuration", () => {
    fc.assert(
      fc.property(membership, fc.array(single, { maxLength: 4 }), (from, changes) => {
        const direct = attempt(() => simpleChange(from, OPTIONS, changes));
        fc.pre(direct !== undefined);
        const joint = leaveJoint(enterJoint(from, OPTIONS, false, changes));
        assert.deepEqual(direct.conf, joint.conf);
        assert.deepEqual(roles(direct), roles(joint));
      }),
    );
  });

  it("any membership comes back from the form that snapshots carry", () => {
    fc.assert(
      fc.property(membership, (at) => {
        const restored = restoreMembership(at.conf, OPTIONS);
        assert.deepEqual(restored.conf, at.conf);
        assert.deepEqual(roles(restored), roles(at));
      }),
    );
  });

  it("a simple change moves at most one voter, so that old and new majorities overlap", () => {
    fc.assert(
      fc.property(membership, fc.array(single, { maxLength: 4 }), (from, changes) => {
        const to = attempt(() => simpleChange(from, OPTIONS, changes));
        fc.pre(to !== undefined);
        const before = new Set(from.conf.voters);
        const after = new Set(to.conf.voters);
        const moved =
          [...before].filter((id) => !after.has(id)).length + [...after].filter((id) => !before.has(id)).length;
        assert.ok(moved <= 1);
      }),
    );
  });

  it("keeps quorums overlapping: any majority of before meets any of after, at every step of every change", () => {
    fc.assert(
      fc.property(membership, change, (from, next) => {
        const to = attempt(() => applyConfChangeTo(from, OPTIONS, next));
        fc.pre(to !== undefined && from.conf.voters.length > 0);
        for (const before of quorumsOf(from.conf)) {
          for (const after of quorumsOf(to.conf)) {
            assert.ok(
              before.some((id) => after.includes(id)),
              `${before.join()} of ${JSON.stringify(from.conf)} and ${after.join()} of ${JSON.stringify(to.conf)}`,
            );
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it("keeps what is committed committed: an index that a quorum has before is never beyond one after it is joint", () => {
    const indexes = fc.array(fc.nat({ max: 9 }), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(membership, fc.array(single, { maxLength: 4 }), indexes, (from, changes, acked) => {
        const joint = attempt(() => enterJoint(from, OPTIONS, false, changes));
        fc.pre(joint !== undefined);
        const indexer = { ackedIndex: (id: number) => acked[id] ?? 0 };
        const committed = ({ conf }: ChangedMembership) =>
          jointCommittedIndex(conf.voters, conf.votersOutgoing, indexer);
        assert.ok(committed(joint) <= committed(from));
        assert.ok(committed(joint) <= committed(leaveJoint(joint)));
      }),
    );
  });

  it("leaves the membership it starts from as it is, also when the change is refused", () => {
    fc.assert(
      fc.property(membership, change, (from, next) => {
        const before = structuredClone({ conf: from.conf, roles: roles(from) });
        attempt(() => applyConfChangeTo(from, OPTIONS, next));
        assert.deepEqual({ conf: from.conf, roles: roles(from) }, before);
      }),
    );
  });

  it("keeps a demoted voter's progress, and makes it a learner only once the joint configuration is left", () => {
    const from = withVoters(1, 2, 3);
    from.progress.get(3)?.maybeUpdate(9);
    const joint = enterJoint(from, OPTIONS, true, [{ type: "addLearnerNode", nodeId: 3 }]);
    assert.deepEqual(
      joint.conf,
      conf({ voters: [1, 2], votersOutgoing: [1, 2, 3], learnersNext: [3], autoLeave: true }),
    );
    assert.equal(joint.progress.get(3)?.isLearner, false);
    const after = leaveJoint(joint);
    assert.deepEqual(after.conf, conf({ voters: [1, 2], learners: [3] }));
    assert.equal(after.progress.get(3)?.match, 9);
  });

  it("tells a caller beforehand where a change would lead, or why it does not fit", () => {
    const remove: ConfChangeV2 = {
      transition: "auto",
      changes: [{ type: "removeNode", nodeId: 1 }],
      context: new Uint8Array(),
    };
    assert.deepEqual(nextConfState(conf({ voters: [1, 2] }), remove), conf({ voters: [2] }));
    assert.throws(() => nextConfState(conf({ voters: [1] }), remove), /removed all voters/);
  });
});

describe("encoded membership changes", () => {
  it("come back as they were, context included", () => {
    fc.assert(
      fc.property(change, (original) => {
        const back = decodeConfChangeV2(encodeConfChangeV2(original));
        assert.deepEqual({ ...back, context: [...back.context] }, { ...original, context: [...original.context] });
      }),
    );
    const v1 = { type: "removeNode", nodeId: Number.MAX_SAFE_INTEGER, context: Buffer.from("store 7") } as const;
    const back = decodeConfChange(encodeConfChange(v1));
    assert.deepEqual({ ...back, context: Buffer.from(back.context).toString() }, { ...v1, context: "store 7" });
  });

  it("take no bytes for leaving a joint configuration, so that no size limit can refuse it", () => {
    assert.equal(encodeConfChangeV2({ transition: "auto", changes: [], context: new Uint8Array() }).length, 0);
  });

  it("are refused when cut short or of another version", () => {
    const whole = encodeConfChangeV2({
      transition: "auto",
      changes: [{ type: "addNode", nodeId: 5 }],
      context: new Uint8Array(),
    });
    for (let length = 1; length < whole.length; length++) {
      assert.throws(() => decodeConfChangeV2(whole.subarray(0, length)), /malformed/);
    }
    assert.throws(() => decodeConfChangeV2(Buffer.concat([Buffer.from([9]), whole.subarray(1)])), /malformed/);
    assert.throws(() => decodeConfChange(new Uint8Array(3)), /malformed/);
  });
});
