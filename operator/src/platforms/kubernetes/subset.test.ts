import assert from "node:assert/strict";
import { isSubset } from "./subset.js";

describe("subset comparison", () => {
  const cases: readonly {
    readonly name: string;
    readonly wanted: unknown;
    readonly live: unknown;
    readonly holds: boolean;
  }[] = [
    { name: "what the API server adds is no difference", wanted: { a: 1 }, live: { a: 1, b: 2 }, holds: true },
    { name: "another value is", wanted: { a: 1 }, live: { a: 2 }, holds: false },
    { name: "an absent value is", wanted: { a: { b: 1 } }, live: {}, holds: false },
    { name: "an empty map that the API server drops is none", wanted: { a: {} }, live: {}, holds: true },
    { name: "an empty list that the API server drops is none", wanted: { a: [] }, live: {}, holds: true },
    { name: "lists are compared in order and length", wanted: [1, 2], live: [1, 2, 3], holds: false },
    {
      name: "ports may have others beside them",
      wanted: [{ name: "grpc", port: 1 }],
      live: [
        { name: "other", port: 9 },
        { name: "grpc", port: 1, protocol: "TCP" },
      ],
      holds: true,
    },
    {
      name: "a changed port is a difference",
      wanted: [{ name: "a", port: 1 }],
      live: [{ name: "a", port: 2 }],
      holds: false,
    },
    {
      name: "owners may have others beside them",
      wanted: [{ uid: "x" }],
      live: [{ uid: "y" }, { uid: "x" }],
      holds: true,
    },
    { name: "an owner that is gone is a difference", wanted: [{ uid: "x" }], live: [{ uid: "y" }], holds: false },
    {
      name: "a selector with one label more chooses others",
      wanted: { selector: { a: "1" } },
      live: { selector: { a: "1", b: "2" } },
      holds: false,
    },
    { name: "a value where there should be a map", wanted: { a: { b: 1 } }, live: { a: "x" }, holds: false },
  ];
  for (const { name, wanted, live, holds } of cases) it(name, () => assert.equal(isSubset(wanted, live), holds));
});
