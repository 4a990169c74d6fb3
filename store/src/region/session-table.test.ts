import assert from "node:assert/strict";
import fc from "fast-check";
import { clientIdOfKey, sessionKey } from "../format/keys.js";
import { decodeSession } from "../format/session-record.js";
import { SessionTable } from "./session-table.js";

const clientId = Buffer.alloc(16, 200);
const command = (seq: number, lowestOutstanding: number) => ({ clientId, seq, lowestOutstanding, issuedAt: seq });

describe("session table", () => {
  it("knows a command until its client has acknowledged it, then calls it expired", () => {
    const table = new SessionTable();
    table.record(command(1, 1), Buffer.from("one"));
    assert.equal(table.lookup(command(1, 1)).kind, "duplicate");
    assert.equal(table.lookup(command(2, 1)).kind, "new");
    table.record(command(2, 2), Buffer.from("two"));
    assert.equal(table.lookup(command(1, 1)).kind, "expired");
    assert.equal(table.lookup({ ...command(1, 1), clientId: Buffer.alloc(16, 1) }).kind, "new");
  });

  it("tells that a command was applied even when its result was too much to keep", () => {
    const table = new SessionTable();
    const large = Buffer.alloc(6 << 20);
    for (let seq = 1; seq <= 3; seq++) table.record(command(seq, 1), large);
    assert.equal(table.lookup(command(1, 1)).kind, "expired");
    assert.equal(table.lookup(command(3, 1)).kind, "duplicate");
  });

  it("gives a child a copy that goes its own way and is stored whole", () => {
    const table = new SessionTable();
    table.record(command(1, 1), Buffer.from("one"));
    table.takeDirty();
    const child = table.copy();
    child.record(command(2, 1), Buffer.from("two"));
    assert.equal(table.lookup(command(2, 1)).kind, "new");
    assert.equal(child.takeDirty().size, 1);
    assert.equal(table.takeDirty().size, 0);
  });

  it("stored and loaded again judges every command as before", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ seq: fc.nat(40), lag: fc.nat(10), result: fc.uint8Array({ maxLength: 5 }) }), {
          maxLength: 40,
        }),
        (steps) => {
          const table = new SessionTable();
          for (const { seq, lag, result } of steps) {
            const one = command(seq, Math.max(0, seq - lag));
            if (table.lookup(one).kind === "new") table.record(one, result);
          }
          const loaded = new SessionTable();
          for (const [id, record] of table.takeDirty()) {
            loaded.load(clientIdOfKey(sessionKey(9, id)), decodeSession(record));
          }
          for (let seq = 0; seq <= 40; seq++) {
            const [was, is] = [table.lookup(command(seq, 0)), loaded.lookup(command(seq, 0))];
            assert.equal(is.kind, was.kind);
            if (is.kind === "duplicate" && was.kind === "duplicate") assert.deepEqual([...is.result], [...was.result]);
          }
        },
      ),
      process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) },
    );
  });
});
