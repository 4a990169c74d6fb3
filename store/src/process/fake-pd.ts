/** Fake PD: stores and regions fixed in a JSON file, for embedding and tests. No scheduling. */
import { RheaError } from "@rhea/common";
import type { InitialRegion } from "../engine/api.js";

/** What the file says. Keys are UTF-8 text. */
export interface FakePd {
  readonly clusterId: number;
  readonly stores: readonly { readonly storeId: number; readonly name: string; readonly address: string }[];
  readonly regions: readonly InitialRegion[];
  /** `new`: a store without identity makes it and writes the first state. `existing`: such a store lost its disk. */
  readonly initialState: "new" | "existing";
}

/** Parses and checks the file's text. Throws INVALID_CONFIG naming `file` and the entry. */
export function parseFakePd(file: string, text: string): FakePd {
  const fail = (what: string): never => {
    throw new RheaError("INVALID_CONFIG", `${file}: ${what}`, { details: { file } });
  };
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", `${file}: not JSON: ${String(cause)}`, { cause, details: { file } });
  }
  const object = (value: unknown, what: string): Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : fail(`${what} is no object`);
  const list = (value: unknown, what: string): unknown[] => (Array.isArray(value) ? value : fail(`${what} is no list`));
  const id = (value: unknown, what: string): number =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= 1
      ? value
      : fail(`${what} is no whole number above 0`);
  const string = (value: unknown, what: string): string =>
    typeof value === "string" ? value : fail(`${what} is no string`);
  const known = (value: Record<string, unknown>, what: string, keys: readonly string[]): void => {
    for (const key of Object.keys(value)) {
      if (!keys.includes(key)) fail(`${what} has an unknown key "${key}"; allowed: ${keys.join(", ")}`);
    }
  };

  const top = object(root, "the file");
  known(top, "the file", ["clusterId", "stores", "regions", "initialState"]);
  const stores = list(top["stores"], "stores").map((value, i) => {
    const store = object(value, `stores[${i}]`);
    known(store, `stores[${i}]`, ["storeId", "name", "address"]);
    return {
      storeId: id(store["storeId"], `stores[${i}].storeId`),
      name: string(store["name"], `stores[${i}].name`),
      address: string(store["address"], `stores[${i}].address`),
    };
  });
  const regions = list(top["regions"], "regions").map((value, i): InitialRegion => {
    const region = object(value, `regions[${i}]`);
    known(region, `regions[${i}]`, ["regionId", "startKey", "endKey", "voters"]);
    return {
      regionId: id(region["regionId"], `regions[${i}].regionId`),
      startKey: Buffer.from(string(region["startKey"] ?? "", `regions[${i}].startKey`)),
      endKey: Buffer.from(string(region["endKey"] ?? "", `regions[${i}].endKey`)),
      voters: list(region["voters"], `regions[${i}].voters`).map((one, j) => {
        const voter = object(one, `regions[${i}].voters[${j}]`);
        return {
          peerId: id(voter["peerId"], `regions[${i}].voters[${j}].peerId`),
          storeId: id(voter["storeId"], `regions[${i}].voters[${j}].storeId`),
        };
      }),
    };
  });
  const initialState = top["initialState"] ?? "new";
  if (initialState !== "new" && initialState !== "existing")
    return fail('initialState is neither "new" nor "existing"');
  return { clusterId: id(top["clusterId"] ?? 1, "clusterId"), stores, regions, initialState };
}
