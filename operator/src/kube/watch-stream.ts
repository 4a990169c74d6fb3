/** Events of a watch: one JSON document a line, over chunks that know nothing of lines or characters. */
import { RheaError } from "@rhea/common";
import { errorOfEvent, excerpt } from "./kube-error.js";
import type { KubeObject } from "./objects.js";

/** A change that the API server reports. A BOOKMARK carries nothing but a resource version. */
export interface WatchEvent<T extends KubeObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

const NEWLINE = 0x0a;

/**
 * Splits chunks into lines of text. Lines are cut at the byte, so a character may be spread over chunks. Throws KUBE_API when a line
 * is over `maxBytes`, and UNAVAILABLE when the stream ends inside a line.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  what: string,
): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(parts).toString("utf8");
      parts = [];
      length = 0;
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > maxBytes) throw new RheaError("KUBE_API", `${what}: an event is over ${maxBytes} bytes`);
  }
  if (length > 0) {
    throw new RheaError("UNAVAILABLE", `${what}: the stream broke off inside an event, after ${length} bytes of it`);
  }
}

/** Reads one line. Throws KUBE_API when it is no event, and the error that an ERROR event carries. */
export function parseEvent<T extends KubeObject>(line: string, what: string): WatchEvent<T> {
  let event: { readonly type?: unknown; readonly object?: unknown } | null;
  try {
    event = JSON.parse(line) as typeof event;
  } catch (cause) {
    throw new RheaError("KUBE_API", `${what}: malformed JSON in an event: ${excerpt(line)}`, { cause });
  }
  switch (event?.type) {
    case "ERROR":
      throw errorOfEvent(what, event.object);
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK": {
      const object = event.object as T | null | undefined;
      if (typeof object?.metadata?.resourceVersion === "string") return { type: event.type, object };
      throw new RheaError("KUBE_API", `${what}: an event without a resource version: ${excerpt(line)}`);
    }
    default:
      throw new RheaError("KUBE_API", `${what}: not an event of a watch: ${excerpt(line)}`);
  }
}
