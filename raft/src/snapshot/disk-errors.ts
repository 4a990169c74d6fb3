import { RheaError } from "@rhea/common";

/** Names what writing threw: DISK_FULL where it is out of space, else what {@link RheaError.from} makes of it. */
export function writeError(what: string, thrown: unknown): RheaError {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code !== "ENOSPC" && code !== "EDQUOT") return RheaError.from(thrown);
  return new RheaError("DISK_FULL", `${what}: no space is left: ${RheaError.from(thrown).message}`, { cause: thrown });
}

/** Names what a disk threw: DISK_FULL where it is out of space, else DISK_FAILED. Errors of Rhea stay as they are. */
export function diskError(what: string, thrown: unknown): RheaError {
  const error = writeError(what, thrown);
  if (error === thrown || error.code === "DISK_FULL") return error;
  return new RheaError("DISK_FAILED", `${what}: ${error.message}`, { cause: thrown });
}
