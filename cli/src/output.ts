/** What commands print: aligned tables for people, JSON for programs. */
import { once } from "node:events";
import type { Writable } from "node:stream";

/** `-o`. */
export type OutputFormat = "table" | "json";

/** Aligns columns; numbers to the right. The last column is not padded. */
export function renderTable(headers: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [headers, ...rows].map((row) => row.map(String));
  const widths = headers.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const isNumeric = headers.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const renderLine = (line: readonly string[]): string =>
    line
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        if (isNumeric[column] === true) return cell.padStart(width);
        return column === line.length - 1 ? cell : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return lines.map(renderLine).join("\n") + "\n";
}

/** Bytes with a binary unit: `96.0 MiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** A duration in the largest unit that fits: `350 ms`, `12 s`, `4 min`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** A key as one line of text: UTF-8 where it is printable, else with escapes. */
export function keyText(key: Uint8Array): string {
  const text = Buffer.from(key).toString();
  const isText = Buffer.compare(Buffer.from(text), key) === 0;
  if (isText) return text.replace(/[\\\p{Cc}]/gu, (char) => (char === "\\" ? "\\\\" : escapeByte(char.charCodeAt(0))));
  return Array.from(key, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : escapeByte(byte),
  ).join("");
}

function escapeByte(byte: number): string {
  if (byte === 0x5c) return "\\\\";
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** One JSON document per command. */
export function renderJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}

/** Writes, waiting while the reader is slower. */
export async function write(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (!stream.write(chunk)) await once(stream, "drain");
}
