import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT, requireNode } from "./setup.mjs";
import { buildIsStale, runBuild } from "./setup/build.mjs";
import { commandsAreMissing, installIsStale } from "./setup/install.mjs";
import { withLock } from "./setup/lock.mjs";

/** @type {string} */
let root;

/**
 * @param {string} path
 * @param {unknown} content text, or anything else as JSON
 */
function write(path, content) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof content === "string" ? content : JSON.stringify(content));
}

describe("setup", () => {
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rhea-setup-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  describe("Node", () => {
    it("refuses a Node before 20.19, saying what to install", () => {
      for (const version of ["18.20.4", "20.18.3"]) {
        assert.throws(() => requireNode(version), new RegExp(`this is Node ${version}[^]*install Node 20.19 or later`));
      }
      for (const version of ["20.19.0", "22.1.0", "24.0.0"]) requireNode(version);
    });
  });

  describe("install", () => {
    const locked = {
      "": { name: "rhea" },
      store: { name: "@rhea/store", version: "0.1.0" },
      "node_modules/@rhea/store": { resolved: "store", link: true },
      "node_modules/yaml": { version: "2.9.1" },
      "node_modules/for-another-system": { version: "1.0.0", optional: true },
    };
    const installed = () => {
      write("package-lock.json", { packages: locked });
      const { "node_modules/for-another-system": _, ...present } = locked;
      write("node_modules/.package-lock.json", { packages: present });
      mkdirSync(join(root, "node_modules/@rhea/store"), { recursive: true });
      return present;
    };

    it("is needed in a fresh clone", () => {
      write("package-lock.json", { packages: locked });
      assert.match(String(installIsStale(root)), /nothing is installed/);
    });

    it("is not needed when npm has installed the locked versions, by whatever command", () => {
      installed();
      assert.equal(installIsStale(root), undefined);
    });

    it("is needed when a locked version changed or a package was added", () => {
      const present = installed();
      write("node_modules/.package-lock.json", { packages: { ...present, "node_modules/yaml": { version: "2.9.0" } } });
      assert.match(String(installIsStale(root)), /yaml is not the locked version/);
      write("package-lock.json", { packages: { ...locked, "node_modules/new": { version: "1.0.0" } } });
      write("node_modules/.package-lock.json", { packages: present });
      assert.match(String(installIsStale(root)), /new is missing/);
    });

    it("sees a command that is not linked yet", () => {
      write("package.json", { workspaces: ["store"] });
      write("store/package.json", { bin: { "rhea-store": "bin/rhea-store.mjs" } });
      assert.ok(commandsAreMissing(root));
      write("node_modules/.bin/rhea-store", "");
      assert.ok(!commandsAreMissing(root));
    });
  });

  describe("build", function () {
    this.timeout(60_000);

    beforeEach(() => {
      write("package.json", { type: "module", workspaces: ["one"] });
      write("package-lock.json", {});
      write("tsconfig.json", { files: [], references: [{ path: "one" }] });
      cpSync(join(ROOT, "tsconfig.base.json"), join(root, "tsconfig.base.json"));
      write("one/tsconfig.json", {
        extends: "../tsconfig.base.json",
        compilerOptions: { rootDir: "src", outDir: "dist", tsBuildInfoFile: "dist/.tsbuildinfo", types: [] },
        include: ["src"],
      });
      write("one/package.json", { type: "module" });
      write("one/src/index.ts", "export const one = 1;\n");
      symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    });

    it("is stale until built, then again after any change to a source", () => {
      assert.ok(buildIsStale(root));
      runBuild(root);
      assert.ok(existsSync(join(root, "one/dist/index.js")));
      assert.ok(!buildIsStale(root));
      write("one/src/two.ts", "export const two = 2;\n");
      assert.ok(buildIsStale(root));
      runBuild(root);
      assert.ok(!buildIsStale(root));
      utimesSync(join(root, "one/src/two.ts"), 1, 1);
      assert.ok(buildIsStale(root));
      runBuild(root);
      rmSync(join(root, "one/dist"), { recursive: true });
      assert.ok(buildIsStale(root));
    });

    it("shows the compiler's words when it fails, says what next, and stays stale", () => {
      write("one/src/index.ts", 'export const one: number = "1";\n');
      assert.throws(() => runBuild(root), /one\/src\/index\.ts\(1,14\): error TS2322[^]*next step: /);
      assert.ok(buildIsStale(root));
    });
  });

  describe("lock", () => {
    const lock = () => join(root, ".cache", "setup.lock");

    it("lets one in at a time and lets the next in afterwards", async () => {
      /** @type {string[]} */
      const log = [];
      /** @type {() => void} */
      let finishFirst = () => {};
      const first = withLock(root, async () => {
        log.push("first in");
        await new Promise((/** @type {(value: void) => void} */ resolve) => (finishFirst = resolve));
        log.push("first out");
      });
      const second = withLock(root, () => void log.push("second in"));
      finishFirst();
      await Promise.all([first, second]);
      assert.deepEqual(log, ["first in", "first out", "second in"]);
      assert.ok(!existsSync(lock()));
    });

    it("breaks the lock of a process that is gone", async () => {
      const { pid } = spawnSync(process.execPath, ["--version"]);
      write(".cache/setup.lock/pid", String(pid));
      let entered = false;
      await withLock(root, () => void (entered = true));
      assert.ok(entered);
    });

    it("names the owner when it gives up waiting", async () => {
      write(".cache/setup.lock/pid", String(process.pid));
      await assert.rejects(
        withLock(root, () => {}, { giveUpMs: 0 }),
        new RegExp(`process ${process.pid} has held .*setup\\.lock[^]*next step`),
      );
      assert.ok(existsSync(lock()));
    });

    it("is released when the work fails", async () => {
      await assert.rejects(
        withLock(root, () => {
          throw new Error("no");
        }),
        /no/,
      );
      assert.ok(!existsSync(lock()));
    });
  });
});
