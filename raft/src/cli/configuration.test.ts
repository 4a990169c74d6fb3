import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import * as fc from "fast-check";
import {
  firstPeers,
  formatConfiguration,
  formatPeer,
  parseConfiguration,
  parsePeer,
  storeIdOf,
} from "./configuration.js";

describe("peers as text", () => {
  it("reads address, index, priority and role", () => {
    const storeId = storeIdOf("a.example:8081");
    const peer = { peerId: 0, storeId, role: "voter", address: "a.example:8081" };
    deepEqual(parsePeer("a.example:8081"), peer);
    deepEqual(parsePeer(" A.Example:8081 "), peer);
    deepEqual(parsePeer("a.example:8081:7"), { ...peer, peerId: 7 });
    deepEqual(parsePeer("a.example:8081:7:100"), { ...peer, peerId: 7, priority: 100 });
    deepEqual(parsePeer("a.example:8081::-1"), { ...peer, priority: -1 });
    deepEqual(parsePeer("a.example:8081:0:0/learner"), { ...peer, priority: 0, role: "learner" });
    equal(parsePeer("[::1]:8081:3").address, "[::1]:8081");
    equal(parsePeer("[::1]:8081:3").peerId, 3);
  });

  it("says what is wrong", () => {
    const cases: readonly [string, RegExp][] = [
      ["", /is not host:port/],
      ["a", /is not host:port/],
      ["a:", /is not host:port/],
      [":1", /is not host:port/],
      ["a:b", /is not host:port/],
      ["a:1:2:3:4", /is not host:port/],
      ["a b:1", /is not host:port/],
      ["a:1/voter", /is not host:port/],
      ["::1:8081", /is not host:port/],
      ["a:0", /port 0 is not in 1..65535/],
      ["a:65536", /port 65536/],
      ["a:1:9007199254740993", /index 9007199254740993 is over/],
      ["a:1:1:-2", /priority -2 is below -1/],
    ];
    for (const [text, why] of cases) {
      throws(
        () => parsePeer(text),
        (error: { code: string; message: string }) =>
          error.code === "INVALID_ARGUMENT" && why.test(error.message) && error.message.includes(`"${text}"`),
        text,
      );
    }
  });

  it("reads lists, and refuses empty ones and an address named twice", () => {
    const peers = parseConfiguration("a:1, b:2 ,c:3/learner");
    deepEqual(
      peers.map(({ address, role }) => `${address ?? ""} ${role}`),
      ["a:1 voter", "b:2 voter", "c:3 learner"],
    );
    throws(() => parseConfiguration(" , "), { code: "INVALID_ARGUMENT" });
    throws(() => parseConfiguration("a:1,b:2,A:1:9"), /a:1 is named twice/);
    throws(() => parseConfiguration("a:1,b"), /peer "b"/);
  });

  it("writes what it reads", () => {
    const peer = fc.record({
      host: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/),
      port: fc.integer({ min: 1, max: 65_535 }),
      index: fc.option(fc.nat(), { nil: undefined }),
      priority: fc.option(fc.integer({ min: -1, max: 1000 }), { nil: undefined }),
      learner: fc.boolean(),
    });
    fc.assert(
      fc.property(peer, ({ host, port, index, priority, learner }) => {
        const tail = priority === undefined ? (index === undefined ? "" : `:${index}`) : `:${index ?? ""}:${priority}`;
        const read = parsePeer(`${host}:${port}${tail}${learner ? "/learner" : ""}`);
        deepEqual(parsePeer(formatPeer(read)), read);
        deepEqual(parseConfiguration(formatConfiguration([read])), [read]);
      }),
    );
    throws(() => formatPeer({ peerId: 1, storeId: 2, role: "voter" }), { code: "INVALID_ARGUMENT" });
  });

  it("gives first members the same ids in every order, and leaves said ones alone", () => {
    const ids = (text: string) =>
      firstPeers(parseConfiguration(text)).map(({ address, peerId }) => `${address ?? ""}=${peerId}`);
    deepEqual(ids("a:1,b:2,c:3"), ["a:1=1", "b:2=2", "c:3=3"]);
    deepEqual(ids("c:3,a:1,b:2"), ids("a:1,b:2,c:3"));
    deepEqual(ids("b:2,a:1:2,c:3"), ["a:1=2", "b:2=1", "c:3=3"]);
  });

  it("gives addresses store ids of 48 bits that do not meet", () => {
    const ids = new Set<number>();
    for (let port = 1; port <= 20_000; port++) ids.add(storeIdOf(`host:${port}`));
    equal(ids.size, 20_000);
    ok([...ids].every((id) => id > 0 && id < 2 ** 48));
    equal(storeIdOf("Host:1"), storeIdOf("host:1"));
    notEqual(storeIdOf("host:1"), storeIdOf("host:11"));
  });
});
