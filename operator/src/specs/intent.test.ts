import assert from "node:assert/strict";
import type { RheaCluster } from "../api/index.js";
import { describeDifference, intentOf, parseIntent } from "./intent.js";

function intent(spec: Partial<RheaCluster["spec"]>, image?: string) {
  return intentOf({ spec: { stores: { replicas: 3 }, ...spec } }, "store", image);
}

describe("what the user asked for", () => {
  it("does not depend on the order in which it is written", () => {
    const one = intent({ stores: { replicas: 3, resources: { requests: { cpu: "1", memory: "1Gi" } } } });
    const other = intent({ stores: { replicas: 3, resources: { requests: { memory: "1Gi", cpu: "1" } } } });
    assert.equal(describeDifference(one, "rhea:1", other), undefined);
  });

  it("does not hold what takes no restart", () => {
    const before = intent({});
    const after = intent({ stores: { replicas: 9, topologyKeys: ["rack"] }, config: { logLevel: "debug" } });
    assert.equal(describeDifference(before, "rhea:1", after), undefined);
  });

  const cases: readonly {
    readonly name: string;
    readonly made: Readonly<Record<string, string>> | undefined;
    readonly image: string;
    readonly wanted: Readonly<Record<string, string>>;
    readonly says: string | undefined;
  }[] = [
    {
      name: "a pod keeps its image while the user names none",
      ...{ made: { image: "rhea:1" }, image: "rhea:1", wanted: {}, says: undefined },
    },
    {
      name: "an image that the user names replaces another",
      ...{ made: { image: "rhea:1" }, image: "rhea:1", wanted: { image: "rhea:2" }, says: "image rhea:1 -> rhea:2" },
    },
    {
      name: "an image that somebody else put into the pod goes again",
      ...{ made: { image: "rhea:1" }, image: "evil:1", wanted: {}, says: "image evil:1 -> rhea:1" },
    },
    {
      name: "a key that an older operator did not know counts as not set",
      ...{ made: { image: "rhea:1" }, image: "rhea:1", wanted: { newKey: "" }, says: undefined },
    },
    {
      name: "such a key restarts once the user sets it",
      ...{ made: { image: "rhea:1" }, image: "rhea:1", wanted: { newKey: "5" }, says: "newKey default -> 5" },
    },
    {
      name: "without an annotation only the image is compared",
      ...{ made: undefined, image: "rhea:1", wanted: { image: "rhea:1", resources: "{}" }, says: undefined },
    },
  ];
  for (const { name, made, image, wanted, says } of cases) {
    it(name, () => assert.equal(describeDifference(made, image, wanted), says));
  }

  it("takes a damaged annotation for none", () => {
    for (const text of ["", "{", "[]", "null", '{"a":1}']) assert.equal(parseIntent(text), undefined, text);
    assert.deepEqual(parseIntent('{"a":"1"}'), { a: "1" });
  });
});
