import { deepEqual, equal, throws } from "node:assert/strict";
import type { PeerInfo } from "./api.js";
import { decodeChangeContext, encodeChangeContext } from "./change-context.js";

const plain: PeerInfo[] = [
  { peerId: 2 ** 40 + 7, storeId: 3, role: "voter" },
  { peerId: 9, storeId: 2 ** 33, role: "learner" },
];
const full: PeerInfo[] = [
  { peerId: 1, storeId: 2 ** 47 + 1, role: "voter", priority: -1, address: "a.example:8081" },
  { peerId: 2, storeId: 4, role: "learner", priority: 0 },
  { peerId: 3, storeId: 5, role: "voter", address: "[::1]:8082" },
];

describe("membership change context", () => {
  it("brings peers back as they were", () => {
    deepEqual(decodeChangeContext(encodeChangeContext(plain)), { peers: plain, isReset: false });
    deepEqual(decodeChangeContext(encodeChangeContext(full)), { peers: full, isReset: false });
    deepEqual(decodeChangeContext(encodeChangeContext(plain, true)), { peers: plain, isReset: true });
    deepEqual(decodeChangeContext(Buffer.alloc(0)), { peers: [], isReset: false });
  });

  it("keeps to form 1 where that can say it, so that older processes read it", () => {
    const bytes = encodeChangeContext(plain);
    equal(bytes[0], 1);
    equal(bytes.length, 2 + 2 * 17);
    equal(encodeChangeContext(full)[0], 2);
  });

  it("refuses what it does not know, and every cut of what it knows", () => {
    throws(() => decodeChangeContext(Buffer.from([9, 0])), { code: "VERSION_UNSUPPORTED" });
    for (const bytes of [encodeChangeContext(plain), encodeChangeContext(full)]) {
      for (let length = 2; length < bytes.length; length++) {
        throws(() => decodeChangeContext(bytes.subarray(0, length)), { code: "CORRUPTION" }, `${length} bytes`);
      }
      throws(() => decodeChangeContext(Buffer.concat([bytes, Buffer.from([0])])), { code: "CORRUPTION" });
    }
  });
});
