import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { RheaError } from "@rhea/common";
import type { Layout } from "./layout.js";

/** Without its memory the operator would give names out again and leave stores that it no longer knows of behind. */
export function refuseLostState({ root, stateFile }: Layout): void {
  const left = ["pd", "stores"].filter((name) => existsSync(join(root, name)));
  if (left.length === 0) return;
  throw new RheaError(
    "CORRUPTION",
    `${stateFile} is missing, but ${root} has ${left.join(" and ")} of a cluster: restore that file, or delete ${root} to start over`,
    { details: { file: stateFile } },
  );
}

/** Refuses what can never hold a cluster; makes nothing. */
export function requirePlace({ root }: Layout): void {
  const refuse = (why: string): never => {
    throw new RheaError("INVALID_ARGUMENT", `${root} cannot be a data directory: ${why}`);
  };
  let nearest = root;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  if (!statSync(nearest).isDirectory()) refuse(`${nearest} is a file`);
  try {
    accessSync(nearest, constants.W_OK);
  } catch (error) {
    refuse(RheaError.from(error).message);
  }
}
