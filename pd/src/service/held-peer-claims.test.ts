import { strict as assert } from "node:assert";
import { HeldPeerClaims } from "./held-peer-claims.js";

describe("HeldPeerClaims", () => {
  it("are settled only by a report that comes well after the claim", () => {
    const claims = new HeldPeerClaims();
    claims.add(7, 4, 704, 1000);
    claims.add(7, 4, 704, 4000);
    claims.add(7, 5, 705, 4000);
    assert.deepEqual(claims.take(7, 5999), []);
    assert.deepEqual(
      claims.take(7, 6000).map(({ storeId, peerId }) => [storeId, peerId]),
      [[4, 704]],
    );
    assert.deepEqual(
      claims.take(7, 9000).map(({ peerId }) => peerId),
      [705],
    );
    assert.deepEqual(claims.take(7, 99_000), []);
  });
});
