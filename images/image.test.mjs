import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeArchive } from "./archive.mjs";
import { neededPackages } from "./packages.mjs";
import { tar } from "./tar.mjs";

/** @typedef {import("./tar.mjs").Entry} Entry */

const file = (/** @type {string} */ text, mode = 0o644) =>
  /** @type {Entry} */ ({ type: "file", mode, data: Buffer.from(text) });

describe("tar writer", () => {
  /** @type {string} */
  let folder;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-tar-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** @param {Map<string, Entry>} entries */
  const unpack = (entries) => {
    writeFileSync(join(folder, "archive.tar"), Buffer.concat(tar(entries).chunks));
    const { status, stderr } = spawnSync("tar", ["-xf", "archive.tar"], { cwd: folder, encoding: "utf8" });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  };

  it("writes what the system's tar reads: content, modes, links, folders that nobody named", () => {
    unpack(
      new Map([
        ["a/b/program", file("x".repeat(1000), 0o755)],
        ["a/link", /** @type {Entry} */ ({ type: "link", target: "b/program" })],
        ["empty", file("")],
      ]),
    );
    assert.equal(readFileSync(join(folder, "a/link"), "utf8"), "x".repeat(1000));
    assert.equal(readlinkSync(join(folder, "a/link")), "b/program");
    assert.equal(statSync(join(folder, "a/b/program")).mode & 0o777, 0o755);
    assert.equal(statSync(join(folder, "empty")).size, 0);
  });

  it("writes names of any length", () => {
    const names = [99, 100, 101, 155, 156, 250].flatMap((length) => [
      "n".repeat(length),
      `${"d".repeat(40)}/${"e".repeat(40)}/${"n".repeat(length)}`,
    ]);
    unpack(new Map(names.map((name) => [name, file(name)])));
    for (const name of names) assert.equal(readFileSync(join(folder, name), "utf8"), name);
  });

  it("gives equal bytes for equal files, in whatever order they come", () => {
    const entries = /** @type {[string, Entry][]} */ ([
      ["b", file("2")],
      ["a/c", file("1")],
    ]);
    assert.equal(tar(new Map(entries)).sha256, tar(new Map([...entries].reverse())).sha256);
    assert.notEqual(tar(new Map(entries)).sha256, tar(new Map([["b", file("3")]])).sha256);
  });
});

describe("image archive", () => {
  it("names its blobs by their content and is the same every time", () => {
    const folder = mkdtempSync(join(tmpdir(), "rhea-archive-"));
    try {
      const image = {
        created: "2020-01-01T00:00:00.000Z",
        config: { User: "65532" },
        layers: [{ comment: "one", entries: new Map([["etc/x", file("x")]]) }],
      };
      const write = (/** @type {string} */ out) =>
        writeArchive(image, { out: join(folder, out), name: "rhea:1", format: "docker" });
      assert.deepEqual(write("one.tar"), write("two.tar"));
      assert.deepEqual(readFileSync(join(folder, "one.tar")), readFileSync(join(folder, "two.tar")));
      assert.equal(spawnSync("tar", ["-xf", "one.tar"], { cwd: folder }).status, 0);
      const [manifest] = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
      assert.deepEqual(manifest.RepoTags, ["rhea:1"]);
      const config = JSON.parse(readFileSync(join(folder, manifest.Config), "utf8"));
      assert.deepEqual(
        config.rootfs.diff_ids,
        manifest.Layers.map((/** @type {string} */ path) => path.replace("blobs/sha256/", "sha256:")),
      );
      for (const path of [manifest.Config, ...manifest.Layers]) {
        const digest = createHash("sha256")
          .update(readFileSync(join(folder, path)))
          .digest("hex");
        assert.equal(path, `blobs/sha256/${digest}`);
      }
      const [entry] = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")).manifests;
      assert.equal(entry.annotations["io.containerd.image.name"], "docker.io/library/rhea:1");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("packages of the image", () => {
  const lock = {
    store: { dependencies: { "@rhea/common": "1", level: "1" } },
    common: { dependencies: { yaml: "2" } },
    sim: { dependencies: { "fast-check": "1" } },
    "node_modules/@rhea/common": { link: true, resolved: "common" },
    "node_modules/level": { dependencies: { yaml: "1" }, optionalDependencies: { absent: "1" } },
    "node_modules/level/node_modules/yaml": {},
    "node_modules/yaml": {},
    "node_modules/fast-check": {},
  };

  it("are those that the programs reach, each as Node would find it", () => {
    assert.deepEqual(neededPackages(lock, ["store"]), [
      "common",
      "node_modules/level",
      "node_modules/level/node_modules/yaml",
      "node_modules/yaml",
      "store",
    ]);
  });

  it("refuses a lock file that lacks one", () => {
    const { "node_modules/yaml": _, ...torn } = lock;
    assert.throws(() => neededPackages(torn, ["store"]), /common needs yaml/);
  });
});
