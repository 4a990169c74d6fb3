import assert from "node:assert/strict";
import { loadConfig, type ConfigSchema } from "./config.js";
import { RheaError } from "./errors.js";

const schema = {
  name: { type: "string", required: true, format: "name", doc: "the process's name" },
  "raft.tickMs": { type: "integer", default: 100, min: 10, max: 1000, doc: "ms per tick" },
  engine: { type: "string", default: "leveldb", values: ["leveldb", "memory"], doc: "where data live" },
  pd: { type: "strings", default: [], format: "address", doc: "addresses" },
  labels: { type: "map", default: {}, doc: "where it runs" },
  verbose: { type: "boolean", default: false, doc: "say more" },
} as const satisfies ConfigSchema;

function load(
  text: string,
  argv: string[] = [],
  env: Record<string, string> = {},
): ReturnType<typeof loadConfig<typeof schema>> {
  return loadConfig(schema, { file: { name: "store.yaml", text }, argv, env });
}
function refusal(run: () => unknown): RheaError {
  try {
    run();
  } catch (error) {
    assert(error instanceof RheaError);
    assert.equal(error.code, "INVALID_CONFIG");
    return error;
  }
  return assert.fail("was accepted");
}

describe("loadConfig", () => {
  it("takes flag over environment over file over default", () => {
    const text = "name: a\nraft: { tickMs: 50 }\npd: [x:1, y:2]\nlabels: { zone: z1 }\n";
    assert.equal(load(text)["raft.tickMs"], 50);
    assert.equal(load(text, [], { RHEA_RAFT_TICK_MS: "60" })["raft.tickMs"], 60);
    assert.equal(load(text, ["--raft.tick-ms=70", "--verbose"], { RHEA_RAFT_TICK_MS: "60" })["raft.tickMs"], 70);
    assert.deepEqual(load(text).pd, ["x:1", "y:2"]);
    assert.deepEqual(load("name: a", ["--labels", "zone=z2,rack=r"]).labels, { zone: "z2", rack: "r" });
    assert.equal(load("name: a", ["--verbose"]).verbose, true);
    assert.equal(load("name: a").engine, "leveldb");
  });

  it("names file, line, column and the allowed values", () => {
    const error = refusal(() => load("name: a\nraft:\n  tickMs: 5\n"));
    assert.match(error.message, /^store\.yaml:3:11: "raft\.tickMs" must be a whole number in 10\.\.1000/);
    assert.deepEqual([error.details.line, error.details.column], [3, 11]);
    assert.match(
      refusal(() => load("name: a\nengin: memory\n")).message,
      /^store\.yaml:2:1: unknown key "engin"; known: .*engine/,
    );
    assert.match(refusal(() => load("name: a\nengine: rocks\n")).message, /one of leveldb, memory/);
    assert.match(refusal(() => load("name: [\n")).message, /^store\.yaml:\d+:\d+: /);
    assert.equal(refusal(() => load("name: a\nname: b\n")).message, "store.yaml:2:1: Map keys must be unique");
    assert.match(refusal(() => load("- a\n")).message, /expected a map/);
  });

  it("refuses text that is no name and no address, with what is wanted", () => {
    assert.match(refusal(() => load("name: ''")).message, /^store\.yaml:1:7: "name" must be a name of letters/);
    assert.match(refusal(() => load("name: a", ["--name", "a/b"])).message, /^--name: "a\/b" is not a name of letters/);
    assert.match(refusal(() => load("name: a\npd: [x]")).message, /^store\.yaml:2:5: "pd" must be a list of host:port/);
    assert.match(refusal(() => load("name: a", ["--pd", "x:1,y:65536"])).message, /is not a list of host:port/);
  });

  it("refuses unknown flags, wrong values and missing keys", () => {
    assert.match(
      refusal(() => load("name: a", ["--nam", "b"])).message,
      /unknown argument "--nam"; known: --config, --name/,
    );
    assert.match(refusal(() => load("name: a", ["--raft.tick-ms", "soon"])).message, /"soon" is not a whole number/);
    assert.match(refusal(() => load("name: a", [], { RHEA_ENGINE: "x" })).message, /RHEA_ENGINE/);
    assert.match(refusal(() => load("engine: memory")).message, /"name" is missing.*--name.*RHEA_NAME/);
  });
});
