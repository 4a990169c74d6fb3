// Plants one of each thing the rules are there to refuse, and sees the real configurations refuse it.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ESLint } from "eslint";
import { runCommand } from "./run-command.mjs";
import { ROOT } from "./setup.mjs";
import { workspaces } from "./setup/workspaces.mjs";

describe("rules: lint", function () {
  this.timeout(120_000);

  const eslint = new ESLint({ cwd: ROOT });
  /**
   * Lints lines of code as if they were an existing file's (typed rules need a file that belongs to a project).
   *
   * @param {string} path
   * @param {readonly string[]} lines
   * @returns {Promise<string[]>} for each line, what is said of it
   */
  const lint = async (path, lines) => {
    const [result] = await eslint.lintText(`${lines.join("\n")}\n`, { filePath: join(ROOT, path) });
    assert.ok(result);
    return lines.map((_, index) =>
      result.messages
        .filter(({ line }) => line === index + 1)
        .map(({ ruleId, message }) => `${ruleId}: ${message}`)
        .join("; "),
    );
  };

  const pure = "raft/src/index.ts";
  const edge = "common/src/env-node/index.ts";
  const environment = /** @type {const} */ ([
    ["Date.now", "export const now = Date.now();", /no-restricted-properties.*clock is injected/],
    ["new Date()", "export const date = new Date();", /no-restricted-syntax.*clock is injected/],
    ["Math.random", "export const x = Math.random();", /no-restricted-properties.*Randomness is injected/],
    ["setTimeout", "setTimeout(() => undefined, 1);", /no-restricted-globals.*setTimeout is injected/],
    ["globalThis.setTimeout", "globalThis.setTimeout(() => undefined, 1);", /no-restricted-properties.*is injected/],
    ["process.hrtime", "export const t = process.hrtime.bigint();", /no-restricted-properties.*clock is injected/],
    ["performance", "export const p = performance.now();", /no-restricted-globals.*clock is injected/],
    ["node:fs", 'export { readFileSync } from "node:fs";', /no-restricted-imports.*node:fs is injected/],
    ["node:net", 'export { connect } from "node:net";', /no-restricted-imports.*node:net is injected/],
    ["gRPC", 'export { Server } from "@grpc/grpc-js";', /no-restricted-imports.*grpc-js is injected/],
    ["randomBytes", 'export { randomBytes } from "node:crypto";', /no-restricted-imports.*Randomness is injected/],
  ]);
  const always = /** @type {const} */ ([
    ["a floating promise", "Promise.resolve(1);", /no-floating-promises/],
    ["winston outside common", 'export { format } from "winston";', /Log through the Logger/],
    [
      "the Kubernetes client outside operator/src/kube",
      'export { KubeConfig } from "@kubernetes/client-node";',
      /Only operator\/src\/kube/,
    ],
    ["an enum", "export enum E { A }", /no-restricted-syntax.*erasable/],
    ["a namespace", "export namespace N { export const a = 1; }", /no-restricted-syntax.*erasable/],
    ["a parameter property", "export class C { constructor(readonly a: number) {} }", /no-restricted-syntax.*erasable/],
    ["a default export", "export default 1;", /no-restricted-syntax.*named export/],
  ]);
  /** @type {string[]} */
  let inPure;
  /** @type {string[]} */
  let atEdge;
  /** @type {string[]} */
  let plain;

  before(async () => {
    const lines = [...environment, ...always].map(([, text]) => text);
    inPure = await lint(pure, lines);
    atEdge = await lint(edge, lines);
    plain = await lint(pure, ["export const answer = 42;", ...Array.from({ length: 600 }, () => "")]);
  });

  it("accepts plain code", () => assert.equal(plain[0], ""));

  it("refuses a file of more than 600 lines", () => assert.match(plain[600] ?? "", /max-lines/));

  for (const [index, [what, , rule]] of environment.entries()) {
    it(`refuses ${what} outside env-node and allows it there`, () => {
      assert.match(inPure[index] ?? "", rule);
      assert.doesNotMatch(atEdge[index] ?? "", /injected/);
    });
  }

  for (const [index, [what, , rule]] of always.entries()) {
    it(`refuses ${what}`, () => assert.match(inPure[environment.length + index] ?? "", rule));
  }
});

/** Makes a tree with this repository's configurations and packages, but with sources of its own. */
function plantTree(/** @type {Record<string, string>} */ sources) {
  const root = mkdtempSync(join(tmpdir(), "rhea-rules-"));
  for (const name of ["package.json", "tsconfig.json", "tsconfig.base.json", ".dependency-cruiser.cjs", "knip.json"]) {
    cpSync(join(ROOT, name), join(root, name));
  }
  mkdirSync(join(root, "node_modules", "@rhea"), { recursive: true });
  write(root, "node_modules/yaml/package.json", '{ "name": "yaml", "version": "1.0.0", "main": "index.js" }');
  write(root, "node_modules/yaml/index.js", "");
  for (const folder of workspaces(ROOT)) {
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
  this.timeout(120_000);

  const planted = /** @type {const} */ ([
    ["an import against the arrows", "arrow-common", "common/src/index.ts", 'export * from "@rhea/raft";'],
    ["a skipped layer", "arrow-client", "client/src/index.ts", 'export * from "@rhea/store";'],
    ["the way around by a path", "no-relative-across", "pd/src/a.ts", 'export * from "../../store/src/index.js";'],
    ["another package's inside", "no-internals", "pd/src/b.ts", 'export * from "../../store/src/part.js";'],
    ["a core that sees the host", "core-is-pure", "raft/src/core/a.ts", 'export * from "../node/y.js";'],
    ["a core that sees the disk", "core-is-pure", "raft/src/core/b.ts", 'export { readFileSync } from "node:fs";'],
    ["a log that sees the host", "log-is-below-node", "raft/src/log/a.ts", 'export * from "../node/y.js";'],
    ["a cycle", "no-cycles", "raft/src/node/y.ts", 'export * from "./z.js";'],
    ["an import of a test", "tests-are-leaves", "store/src/a.ts", 'export * from "./x.test.js";'],
    ["an undeclared dependency", "declared", "history/src/a.ts", 'export * from "yaml";'],
    ["an import of nothing", "resolvable", "history/src/b.ts", 'export * from "./nowhere.js";'],
  ]);
  const allowed = {
    "raft/src/node/x.ts": 'export { RheaError } from "@rhea/common";\nexport type { Y } from "./types.js";\n',
    "raft/src/node/types.ts": 'import type * as x from "./x.js";\nexport type Y = typeof x;\n',
    "raft/src/node/z.ts": 'export * from "./y.js";\n',
    "store/src/part.ts": "export const part = 1;\n",
    "store/src/x.test.ts": 'export * from "./part.js";\n',
  };
  /** @type {string[]} */
  let errors;

  before(async () => {
    const sources = Object.fromEntries(planted.map(([, , path, text]) => [path, `${text}\n`]));
    const { ok, output } = await judge({ ...allowed, ...sources }, [
      "depcruise",
      "--config",
      ".dependency-cruiser.cjs",
      ...workspaces(ROOT),
    ]);
    assert.ok(!ok, output);
    errors = output.split("\n").filter((line) => line.includes(" error "));
  });

  for (const [what, rule, path] of planted) {
    it(`refuses ${what}`, () => {
      assert.ok(
        errors.some((line) => line.includes(`error ${rule}: ${path} `)),
        errors.join("\n"),
      );
    });
  }

  it("accepts an import along an arrow through the front door, types that refer to each other, and a test's imports", () => {
    const fine = ["raft/src/node/x.ts", "raft/src/node/types.ts", "store/src/x.test.ts"];
    assert.deepEqual(
      errors.filter((line) => fine.some((path) => line.includes(`: ${path} `))),
      [],
    );
  });
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
