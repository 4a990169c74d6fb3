import assert from "node:assert/strict";
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDisk } from "@rhea/common/env-node";
import { claimIdentity, createIdentity, readIdentity, verifyIdentity, type IdentityDirectories } from "./identity.js";

const NEW = { clusterId: 1, storeId: 7, name: "a", uuid: "00".repeat(16) };

describe("identity", () => {
  let root: string;
  let places: IdentityDirectories;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rhea-id-"));
    places = { disk: nodeDisk, logDirectory: join(root, "log"), dataDirectory: join(root, "data") };
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const file = (where: "log" | "data"): string => join(root, where, "identity.json");

  it("is absent at first, then the same at every start with a rising incarnation", async () => {
    assert.equal(await readIdentity(places), undefined);
    await createIdentity(places, NEW);
    assert.deepEqual(await claimIdentity(places), { ...NEW, incarnation: 1, previousIncarnation: 0 });
    assert.deepEqual(await claimIdentity(places), { ...NEW, incarnation: 2, previousIncarnation: 1 });
  });

  it("finishes a start that was cut between the two files", async () => {
    await createIdentity(places, NEW);
    const before = join(root, "before.json");
    cpSync(file("data"), before);
    await claimIdentity(places);
    cpSync(before, file("data"));
    assert.deepEqual(await claimIdentity(places), { ...NEW, incarnation: 1, previousIncarnation: 0 });
  });

  it("finishes a start after any number of starts that were cut between the two files", async () => {
    await createIdentity(places, NEW);
    await claimIdentity(places);
    const { disk } = places;
    const full: IdentityDirectories = {
      ...places,
      disk: {
        ...disk,
        open: (path, options) =>
          path.startsWith(places.dataDirectory) && options.create
            ? Promise.reject(new Error("no space left"))
            : disk.open(path, options),
      },
    };
    for (let i = 0; i < 3; i++) await assert.rejects(claimIdentity(full), /no space left/);
    assert.deepEqual(await claimIdentity(places), { ...NEW, incarnation: 2, previousIncarnation: 1 });
  });

  it("finishes a creation that was cut between the two files", async () => {
    await createIdentity(places, NEW);
    rmSync(file("data"));
    assert.equal((await claimIdentity(places)).incarnation, 1);
  });

  for (const gone of ["log", "data"] as const) {
    it(`is DISK_LOST when the ${gone} directory lost its file`, async () => {
      await createIdentity(places, NEW);
      await claimIdentity(places);
      rmSync(file(gone));
      await assert.rejects(readIdentity(places), { code: "DISK_LOST" });
    });
  }

  it("is DISK_LOST when the data are an older image than one start", async () => {
    await createIdentity(places, NEW);
    const before = join(root, "before.json");
    cpSync(file("data"), before);
    await claimIdentity(places);
    await claimIdentity(places);
    cpSync(before, file("data"));
    await assert.rejects(claimIdentity(places), { code: "DISK_LOST" });
  });

  it("refuses a damaged file", async () => {
    await createIdentity(places, NEW);
    writeFileSync(file("log"), '{"crc":1,"body":"{}"}');
    await assert.rejects(readIdentity(places), { code: "CORRUPTION" });
  });

  it("notices that the directory of a running process was renamed away", async () => {
    await createIdentity(places, NEW);
    const claimed = await claimIdentity(places);
    assert.equal(await verifyIdentity(places, claimed), undefined);
    renameSync(join(root, "data"), join(root, "elsewhere"));
    assert.equal((await verifyIdentity(places, claimed))?.code, "DISK_LOST");
  });
});
