import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRng } from "../test-support/virtual-time.js";
import { Session, SESSION_WINDOW, Sessions } from "./session.js";

describe("session", () => {
  it("names as lowest the least seq that still waits, in whatever order answers come", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 200 }), (steps) => {
        const session = new Session(Buffer.alloc(16));
        const open: number[] = [];
        let next = 1;
        for (const step of steps) {
          if (step % 2 === 0 || open.length === 0) {
            assert.equal(session.begin(), next);
            open.push(next++);
          } else {
            session.end(open.splice(step % open.length, 1)[0]!);
          }
          assert.equal(session.lowestOutstanding, Math.min(next, ...open));
        }
      }),
    );
  });

  it("keeps a seq outstanding until every part that carries it has ended", () => {
    const session = new Session(Buffer.alloc(16));
    const seq = session.begin();
    session.begin();
    session.share(seq);
    session.end(seq);
    assert.equal(session.lowestOutstanding, seq);
    session.end(seq);
    assert.equal(session.lowestOutstanding, seq + 1);
  });

  it("begins a session of a new client id when one write holds up the window", () => {
    const sessions = new Sessions(seededRng(3));
    const first = sessions.current();
    first.begin();
    for (let i = 1; i < SESSION_WINDOW; i++) {
      assert.equal(sessions.current(), first);
      first.end(first.begin());
    }
    assert.ok(first.isFull);
    const second = sessions.current();
    assert.notEqual(second, first);
    assert.notDeepEqual(second.clientId, first.clientId);
  });
});
