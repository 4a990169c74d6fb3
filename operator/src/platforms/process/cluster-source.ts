import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { RheaError } from "@rhea/common";
import { parseClusterFile, type RheaCluster } from "../../api/index.js";

/** Where the wanted cluster comes from: a file that is watched, or a value that stays. */
export type ClusterSource = { readonly file: string } | { readonly cluster: RheaCluster };

/** What a look at the source found. */
export type SourceReading =
  | { readonly kind: "unchanged" }
  | { readonly kind: "accepted"; readonly cluster: RheaCluster }
  /** The old cluster stays wanted. */
  | { readonly kind: "refused"; readonly message: string };

/** Reads a source again and again and reports each change of its content once. */
export interface SourceReader {
  read(previous: RheaCluster | undefined): SourceReading;
}

/** Makes a reader. It compares content, not times: editors save in many ways. */
export function createSourceReader(source: ClusterSource): SourceReader {
  if ("cluster" in source) {
    let isRead = false;
    return {
      read: () => {
        if (isRead) return { kind: "unchanged" };
        isRead = true;
        return { kind: "accepted", cluster: source.cluster };
      },
    };
  }
  const { file } = source;
  let last: FileReading | undefined;
  return {
    read: (previous) => {
      const reading = readFile(file);
      if (reading.text === last?.text && reading.problem === last?.problem) return { kind: "unchanged" };
      last = reading;
      if (reading.text === undefined) return { kind: "refused", message: reading.problem };
      try {
        return { kind: "accepted", cluster: parseClusterFile(file, reading.text, previous) };
      } catch (error) {
        return { kind: "refused", message: RheaError.from(error).message };
      }
    },
  };
}

type FileReading =
  { readonly text: string; readonly problem?: never } | { readonly text?: never; readonly problem: string };

function readFile(file: string): FileReading {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return { problem: `${file} cannot be read: ${RheaError.from(error).message}` };
  }
  if (!isUtf8(bytes)) return { problem: `${file}:1:1: the file is not UTF-8 text: a RheaCluster in YAML is wanted` };
  return { text: bytes.toString("utf8") };
}
