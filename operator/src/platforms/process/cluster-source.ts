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
  let lastText: string | undefined;
  return {
    read: (previous) => {
      const text = readText(file);
      if (text === lastText) return { kind: "unchanged" };
      lastText = text;
      if (text === undefined) return { kind: "refused", message: `${file} cannot be read: create it again` };
      try {
        return { kind: "accepted", cluster: parseClusterFile(file, text, previous) };
      } catch (error) {
        return { kind: "refused", message: RheaError.from(error).message };
      }
    },
  };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
