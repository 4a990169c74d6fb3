// Copies the CRDs into the chart, which must carry all it installs: `node charts/copy-crds.mjs [FOLDER]`.
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "..", "crds");
const target = process.argv[2] ?? join(here, "rhea", "files", "crds");

mkdirSync(target, { recursive: true });
for (const name of readdirSync(source).filter((file) => file.endsWith(".yaml"))) {
  copyFileSync(join(source, name), join(target, name));
}
