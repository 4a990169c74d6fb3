// Plants one of each thing the rules are there to refuse, and sees the real configurations refuse it.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ESLint } from "eslint";
import { runCommand } from "./run-command.mjs";
import { ROOT } from "./setup.mjs";

describe("rules: lint", function () {
  this.timeout(60_000);

  const eslint = new ESLint({ cwd: ROOT });
  /**
   * @param {string} filePath an existing file: typed rules need it to belong to a project
   * @param {string} text
   */
  const rulesBroken = async (filePath, text) => {
    const [result] = await eslint.lintText(text, { filePath: join(ROOT, filePath) });
    assert.ok(result);
    return result.messages.map(({ ruleId, message }) => `${ruleId}: ${message}`).join("\n");
  };
  const pure = "raft/src/index.ts";
  const edge = "common/src/env-node/index.ts";

  it("accepts plain code", async () => {
    assert.equal(await rulesBroken(pure, "export const answer = 42;\n"), "");
  });

  it("refuses a floating promise", async () => {
    const text = "export async function work(): Promise<void> {\n  return Promise.resolve();\n}\nwork();\n";
    assert.match(await rulesBroken(pure, text), /no-floating-promises/);
  });

  for (const [what, text, rule] of /** @type {const} */ ([
    ["Date.now", "export const now = Date.now();", /no-restricted-properties.*clock is injected/],
    ["new Date()", "export const now = new Date();", /no-restricted-syntax.*clock is injected/],
    ["Math.random", "export const x = Math.random();", /no-restricted-properties.*Randomness is injected/],
    ["setTimeout", "setTimeout(() => undefined, 1);", /no-restricted-globals.*setTimeout is injected/],
    ["globalThis.setTimeout", "globalThis.setTimeout(() => undefined, 1);", /no-restricted-properties.*is injected/],
    ["process.hrtime", "export const t = process.hrtime.bigint();", /no-restricted-properties.*clock is injected/],
    ["performance", "export const t = performance.now();", /no-restricted-globals.*clock is injected/],
    ["node:fs", 'export { readFileSync } from "node:fs";', /no-restricted-imports.*node:fs is injected/],
    ["node:net", 'export { connect } from "node:net";', /no-restricted-imports.*node:net is injected/],
    ["grpc", 'export { Server } from "@grpc/grpc-js";', /no-restricted-imports.*grpc-js is injected/],
    ["randomBytes", 'export { randomBytes } from "node:crypto";', /no-restricted-imports.*Randomness is injected/],
  ])) {
    it(`refuses ${what} outside env-node and allows it there`, async () => {
      assert.match(await rulesBroken(pure, `${text}\n`), rule);
      assert.doesNotMatch(await rulesBroken(edge, `${text}\n`), /injected/);
    });
  }

  it("refuses the heavy dependencies outside their one home", async () => {
    assert.match(
      await rulesBroken("cli/src/index.ts", 'export { format } from "winston";\n'),
      /Log through the Logger/,
    );
    const text = 'export { KubeConfig } from "@kubernetes/client-node";\n';
    assert.match(await rulesBroken("store/src/index.ts", text), /Only operator\/src\/kube/);
  });

  it("refuses syntax that cannot be erased, and default exports", async () => {
    for (const text of [
      "export enum E {\n  A,\n}",
      "export namespace N {\n  export const a = 1;\n}",
      "export default 1;",
    ]) {
      assert.match(await rulesBroken(pure, `${text}\n`), /no-restricted-syntax/);
    }
  });

  it("refuses a file of more than 600 lines", async () => {
    assert.match(await rulesBroken(pure, "export {};\n".repeat(601)), /max-lines/);
  });
});

/** Makes a tree with this repository's configurations and packages, but with sources of its own. */
function plantTree(/** @type {Record<string, string>} */ sources) {
  const root = mkdtempSync(join(tmpdir(), "rhea-rules-"));
  for (const name of ["package.json", "tsconfig.json", "tsconfig.base.json", ".dependency-cruiser.cjs", "knip.json"]) {
    cpSync(join(ROOT, name), join(root, name));
  }
  const folders = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).workspaces;
  mkdirSync(join(root, "node_modules", "@rhea"), { recursive: true });
  for (const folder of folders) {
    mkdirSync(join(root, folder));
    for (const name of ["package.json", "tsconfig.json"]) cpSync(join(ROOT, folder, name), join(root, folder, name));
    symlinkSync(join("..", "..", folder), join(root, "node_modules", "@rhea", folder));
    const { exports } = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));
    for (const target of Object.values(exports)) write(root, join(folder, target["rhea-source"]), "export {};\n");
  }
  for (const [path, text] of Object.entries(sources)) write(root, path, text);
  return root;
}

/**
 * @param {string} root
 * @param {string} path
 * @param {string} text
 */
function write(root, path, text) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/**
 * @param {Record<string, string>} sources
 * @param {readonly string[]} command
 */
async function judge(sources, command) {
  const root = plantTree(sources);
  try {
    return await runCommand(command, { cwd: root });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

describe("rules: arrows", function () {
  this.timeout(60_000);

  const cruise = (/** @type {Record<string, string>} */ sources) =>
    judge(sources, [
      "depcruise",
      "--config",
      ".dependency-cruiser.cjs",
      "common",
      "raft",
      "store",
      "client",
      "operator",
    ]);

  it("accepts an import along an arrow, through the front door", async () => {
    const { ok, output } = await cruise({ "raft/src/index.ts": 'export * from "@rhea/common";\n' });
    assert.ok(ok, output);
  });

  for (const [what, path, text, rule] of /** @type {const} */ ([
    ["an import against the arrows", "common/src/index.ts", 'export * from "@rhea/raft";', "arrow-common"],
    ["a skipped layer", "client/src/index.ts", 'export * from "@rhea/store";', "arrow-client"],
    [
      "the way around by a path",
      "raft/src/index.ts",
      'export * from "../../common/src/index.js";',
      "no-relative-across",
    ],
    ["a core that sees the host", "raft/src/core/x.ts", 'export * from "../node/y.js";', "core-is-pure"],
    ["a core that sees the disk", "raft/src/core/x.ts", 'export { readFileSync } from "node:fs";', "core-is-pure"],
    ["a log that sees the host", "raft/src/log/x.ts", 'export * from "../node/y.js";', "log-is-below-node"],
    ["a cycle", "raft/src/node/y.ts", 'export * from "./z.js";', "no-cycles"],
    ["another package's inside", "store/src/index.ts", 'export * from "../../raft/src/node/y.js";', "no-internals"],
  ])) {
    it(`refuses ${what}`, async () => {
      const { ok, output } = await cruise({
        "raft/src/node/y.ts": "export const y = 1;\n",
        "raft/src/node/z.ts": 'export * from "./y.js";\n',
        [path]: `${text}\n`,
      });
      assert.ok(!ok);
      assert.match(output, new RegExp(`error ${rule}:`));
    });
  }
});

describe("rules: dead code", function () {
  this.timeout(60_000);

  const knip = (/** @type {Record<string, string>} */ sources) =>
    judge(sources, ["knip", "--no-config-hints", "--include", "files,exports,types"]);

  it("refuses an export and a file that nothing uses", async () => {
    const { ok, output } = await knip({
      "raft/src/index.ts": 'export { used } from "./part.js";\n',
      "raft/src/part.ts": "export const used = 1;\nexport const forgotten = 2;\n",
      "raft/src/orphan.ts": "export const alone = 1;\n",
    });
    assert.ok(!ok);
    assert.match(output, /forgotten +raft\/src\/part\.ts/);
    assert.match(output, /raft\/src\/orphan\.ts/);
    assert.doesNotMatch(output, /\bused\b/);
  });
});
