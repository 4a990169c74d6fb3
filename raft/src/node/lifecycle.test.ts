import assert from "node:assert/strict";
import { mayBeCreated } from "./lifecycle.js";

describe("whether a message may create a peer", () => {
  it("may where the log knows nothing, and for a later peer than one that was destroyed", () => {
    const destroyed = { state: "destroyed", peerId: 12, confVer: 5, version: 1 } as const;
    assert.equal(mayBeCreated(undefined, 12, 0), true);
    assert.equal(mayBeCreated(destroyed, 13, 0), true);
    assert.equal(mayBeCreated(destroyed, 12, 9), false);
    assert.equal(mayBeCreated({ state: "condemned", peerId: 12, reason: "damaged" }, 13, 9), false);
  });

  it("after the end of a peer whose id a damaged log did not know, may only by a later membership: it could be the same peer", () => {
    const unknown = { state: "destroyed", peerId: 0, confVer: 5, version: 1 } as const;
    assert.equal(mayBeCreated(unknown, 12, 0), false);
    assert.equal(mayBeCreated(unknown, 12, 5), false);
    assert.equal(mayBeCreated(unknown, 14, 6), true);
  });
});
